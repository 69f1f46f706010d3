/* Test of dropout, part of test_kernels.c. */
#ifndef FC_TEST_DROPOUT_H
#define FC_TEST_DROPOUT_H

/* Halves: exact. Odd lengths begin in the middle of a hash. */
static void test_dropout(void) {
  for (ptrdiff_t n = 1; n <= 40000; n = longer(n)) {
    const ptrdiff_t matrices = n < 1000 ? 3 : 1, rows = n < 1000 ? 2 : 1;
    const fc_dropout options = {.key = 12345678901234567u, .threshold = 1u << 30, .scale = 0.5, .shift = 0.25};
    const array x = whole(matrices * rows * n), out = empty(matrices * rows * n);
    KERNEL(dropout, x.data, out.data, matrices, rows, n, &options);
    KEEP(out);
    forget();
  }
}

#endif
