/* Optimisers; a part of test_kernels.c. */

/* Parameter and state after a rule's step from whole numbers, halves and quarters. */
#define UPDATE(rule, epsilons)                                                         \
  {                                                                                    \
    const array kept[] = {whole(n), whole(n), counts(n), counts(n), counts(n)};        \
    void *const state[] = {kept[2].data, kept[3].data, way > 0 ? kept[4].data : NULL}; \
    KERNEL(rule, kept[0].data, kept[1].data, state, n, &options);                      \
    for (int i = 0; i < 5; i++) KEEP_ABOUT(kept[i], epsilons);                         \
    forget();                                                                          \
  }

static array counts(ptrdiff_t n) {
  const array a = empty(n);
  for (ptrdiff_t i = 0; i < n; i++) set(a, i, (double)below(9));
  return a;
}

static void test_optim(void) {
  for (ptrdiff_t n = 1; n <= 40000; n = longer(n))
    for (int way = 0; way < 4; way++) {
      const fc_update options = {0.5,   way > 1 ? 0.25 : 0, 0.5,      0.5,     0.5, 0.75, way > 1 ? 0.75 : 1, 0.5,
                                 0.125, way == 2,           way == 1, way == 3};
      UPDATE(sgd_update, 0)
      UPDATE(adam_update, 8)
      UPDATE(rmsprop_update, 8)
      UPDATE(adagrad_update, 8)
      UPDATE(adadelta_update, 8)
    }
}

static void test_sum_squares(void) {
  for (ptrdiff_t n = 1; n <= 40000; n = longer(n)) {
    const array x = whole(n);
    double total;
    KERNEL(sum_squares, x.data, n, &total);
    KEEP_VALUE(total);
    forget();
  }
}
