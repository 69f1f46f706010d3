/* What softmax, log-softmax and cross entropy do with a row of scores. */
#ifndef FC_SOFTMAX_H
#define FC_SOFTMAX_H

#include "math.h"

/* The largest of n scores; any value if one is NaN, for the sum below is NaN then. */
FC_INLINE real row_max(const real *x, ptrdiff_t n) {
  const vec lowest = v_set1(-(real)INFINITY);
  vec high = lowest;
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) high = v_max(high, v_load(x + i));
  if (i < n) high = v_max(high, v_select(m_first(n - i), v_load_n(x + i, n - i), lowest));
  return v_hmax(high);
}

/* The sum of e^(x - shift), and these terms in `terms` unless that is NULL. */
FC_INLINE real row_exp_sum(const real *x, real shift, real *terms, ptrdiff_t n) {
  const vec s = v_set1(shift);
  vec sum = v_zero();
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) {
    const vec e = fc_exp(v_sub(v_load(x + i), s));
    if (terms) v_store(terms + i, e);
    sum = v_add(sum, e);
  }
  if (i < n) {
    const vec e = fc_exp(v_sub(v_load_n(x + i, n - i), s));
    if (terms) v_store_n(terms + i, e, n - i);
    sum = v_add(sum, v_select(m_first(n - i), e, v_zero()));
  }
  return v_sum(sum);
}

/* Rows a piece: some thousand exponentials, so that handing a piece out costs little. */
FC_INLINE ptrdiff_t rows_per_piece(ptrdiff_t n) { return n < 4096 ? 4096 / (n > 0 ? n : 1) : 1; }

#endif
