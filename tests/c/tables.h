/* Runs a test on two kernel tables and compares what they compute: arrays of either element type, filled alike for
 * both, and a record of results. */
#ifndef FC_TABLES_H
#define FC_TABLES_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "../../src_c/fastconv.h"
#include "check.h"

/* Which kernels have been run: the list that makes the table makes this one too. */
#define FC_NUMBER(name, arguments) number_##name,
enum { FC_KERNELS(FC_NUMBER) KERNELS };
#undef FC_NUMBER
#define FC_NAME(name, arguments) #name,
static const char *const kernel_names[] = {FC_KERNELS(FC_NAME)};
#undef FC_NAME
static int has_run[KERNELS];

static const fc_table *table; /* the one that runs */
static ptrdiff_t lanes;       /* the vector length of the instruction set under test, also while scalar runs */
static double epsilon;

#define KERNEL(name, ...) CHECK((has_run[number_##name] = 1, table->name(__VA_ARGS__)) == FC_OK)

/* --- arrays ------------------------------------------------------------------------------------------------------ */

typedef struct {
  char *data;
  ptrdiff_t n;
} array;

enum { MOST_ARRAYS = 64 };
static void *allocated[MOST_ARRAYS];
static int arrays;

static double at(array a, ptrdiff_t i) {
  return table->element_size == 4 ? (double)((float *)a.data)[i] : ((double *)a.data)[i];
}

static void set(array a, ptrdiff_t i, double value) {
  if (table->element_size == 4)
    ((float *)a.data)[i] = (float)value;
  else
    ((double *)a.data)[i] = value;
}

/* Exactly as large as needed, so that address sanitizer sees what goes beyond. Lives until the test ends. */
static array bytes_of(ptrdiff_t n, ptrdiff_t size) {
  CHECK(arrays < MOST_ARRAYS && n >= 0);
  array a = {malloc((size_t)(n * size)), n};
  CHECK(a.data != NULL || n == 0);
  if (n > 0) memset(a.data, 0x55, (size_t)(n * size)); /* a large number, should it stay */
  allocated[arrays++] = a.data;
  return a;
}

static array empty(ptrdiff_t n) { return bytes_of(n, table->element_size); }

static uint32_t random_state;

static ptrdiff_t below(ptrdiff_t limit) {
  random_state = random_state * 1664525u + 1013904223u;
  return (ptrdiff_t)((random_state >> 8) % (uint32_t)limit);
}

/* Whole numbers from -4 to 4: sums of their products are exact in any order. */
static array whole(ptrdiff_t n) {
  const array a = empty(n);
  for (ptrdiff_t i = 0; i < n; i++) set(a, i, (double)(below(9) - 4));
  return a;
}

/* Values that take a way of their own, each in every lane as `turn` goes on. */
static array special(ptrdiff_t n, ptrdiff_t turn) {
  const double tiny = table->element_size == 4 ? FLT_MIN : DBL_MIN, huge = table->element_size == 4 ? FLT_MAX : DBL_MAX;
  const double values[] = {NAN, -NAN, INFINITY, -INFINITY, 0., -0., tiny, -tiny / 4, huge, -huge, 1., -1., 90., -90.};
  const array a = empty(n);
  for (ptrdiff_t i = 0; i < n; i++) set(a, i, values[(i + turn) % (ptrdiff_t)(sizeof values / sizeof values[0])]);
  return a;
}

/* --- what was computed ------------------------------------------------------------------------------------------- */

typedef struct {
  double value, tolerance;
  int line;
} result;

static struct {
  result *results;
  size_t used, size;
} record[2];
static int side; /* 0 while scalar runs, 1 while the instruction set under test does */

static void keep_value(double value, double tolerance, int line) {
  if (record[side].used == record[side].size) {
    record[side].size = 2 * record[side].size + 1024;
    record[side].results = realloc(record[side].results, record[side].size * sizeof(result));
    CHECK(record[side].results != NULL);
  }
  record[side].results[record[side].used++] = (result){value, tolerance, line};
}

static void keep_array(array a, double epsilons, int line) {
  double largest = 0;
  for (ptrdiff_t i = 0; i < a.n; i++)
    if (isfinite(at(a, i))) largest = fmax(largest, fabs(at(a, i)));
  for (ptrdiff_t i = 0; i < a.n; i++) keep_value(at(a, i), epsilons * epsilon * largest, line);
}

static void keep_each(array a, double epsilons, int line) {
  const double smallest = table->element_size == 4 ? FLT_TRUE_MIN : DBL_TRUE_MIN;
  for (ptrdiff_t i = 0; i < a.n; i++) {
    const double size = isfinite(at(a, i)) ? fabs(at(a, i)) : 0;
    keep_value(at(a, i), fmax(epsilons * epsilon * size, smallest), line);
  }
}

static void keep_bytes(array a, int line) {
  for (ptrdiff_t i = 0; i < a.n; i++) keep_value((unsigned char)a.data[i], 0, line);
}

/* Equal to the last bit, -0 and NaN included; or within a multiple of epsilon * the array's largest magnitude; or
 * within a multiple of each value's own epsilon. */
#define KEEP(array) keep_array(array, 0, __LINE__)
#define KEEP_ABOUT(array, epsilons) keep_array(array, epsilons, __LINE__)
#define KEEP_CLOSE(array, epsilons) keep_each(array, epsilons, __LINE__)
#define KEEP_BYTES(array) keep_bytes(array, __LINE__)
#define KEEP_VALUE(value) keep_value(value, 0, __LINE__)

static int differs(result a, result b) {
  if (isnan(a.value) || isnan(b.value)) return !(isnan(a.value) && isnan(b.value));
  if (a.tolerance > 0 && isfinite(a.value)) return !(fabs(a.value - b.value) <= a.tolerance);
  return a.value != b.value || !signbit(a.value) != !signbit(b.value);
}

/* Runs a test with scalar's table and with another, and counts the results that differ. */
static int compare(const char *name, void (*test)(void), const fc_isa *scalar, const fc_isa *isa, int is_double) {
  const fc_table *tables[] = {is_double ? scalar->f64 : scalar->f32, is_double ? isa->f64 : isa->f32};
  lanes = tables[1]->vector_length;
  epsilon = is_double ? DBL_EPSILON : FLT_EPSILON;
  for (side = 0; side < 2; side++) {
    table = tables[side];
    random_state = 1;
    record[side].used = 0;
    test();
    while (arrays > 0) free(allocated[--arrays]);
  }
  CHECK(record[0].used == record[1].used && record[0].used > 0);
  int different = 0;
  for (size_t i = 0; i < record[0].used; i++) {
    const result a = record[0].results[i], b = record[1].results[i];
    if (differs(a, b) && different++ < 3)
      fprintf(stderr, "%s %s: result %zu, of line %d: scalar %.17g, %s %.17g\n", name, is_double ? "f64" : "f32", i,
              a.line, a.value, isa->name, b.value);
  }
  return different;
}

#endif
