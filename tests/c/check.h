/* The whole test framework: a condition that must hold, whatever NDEBUG says. */
#ifndef FC_CHECK_H
#define FC_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                \
    }                                                                         \
  } while (0)

#define RUN(test)                   \
  do {                              \
    fprintf(stderr, "%s\n", #test); \
    test();                         \
  } while (0)

#endif
