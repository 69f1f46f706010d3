/* exp, tanh and the logistic function of a vector, the same in every lane: NaN gives NaN, infinities their limits,
 * results below the normal numbers are rounded correctly into the subnormal ones. */
#ifndef FC_MATH_H
#define FC_MATH_H

/* n and r with x = n ln 2 + r, |r| <= ln 2 / 2. ln 2 in two parts, the first so short that its product with n is exact.
 */
FC_INLINE vec fc_reduce(vec x, vec *n) {
#if FC_DOUBLE
  const real high = 0x1.62e42fee00000p-1, low = 0x1.a39ef35793c76p-33;
#else
  const real high = 0x1.63p-1f, low = -0x1.bd0106p-13f;
#endif
  *n = v_round(v_mul(x, v_set1((real)1.4426950408889634)));
  return v_fma(*n, v_set1(-low), v_fma(*n, v_set1(-high), x));
}

/* e^r - 1 for |r| <= ln 2 / 2 as r + r^2 q(r), q minimax (Remez): 2^-58 of e^r in double, 2^-28 in float. */
FC_INLINE vec fc_expm1_reduced(vec r) {
#if FC_DOUBLE
  static const real q[] = {0x1.af85b598089cep-26, 0x1.28b072ace3431p-22, 0x1.71dddfae89bf5p-19, 0x1.a0199667edec4p-16,
                           0x1.a01a01baef9aep-13, 0x1.6c16c185b70a3p-10, 0x1.111111110d611p-7,  0x1.555555554ffeap-5,
                           0x1.5555555555561p-3,  0x1.000000000000cp-1};
#else
  static const real q[] = {0x1.6db480p-10f, 0x1.123b92p-7f, 0x1.55545ep-5f, 0x1.55548ep-3f, 0x1.000000p-1f};
#endif
  vec sum = v_set1(q[0]);
  for (unsigned i = 1; i < sizeof q / sizeof q[0]; i++) sum = v_fma(sum, r, v_set1(q[i]));
  return v_fma(v_mul(r, r), sum, r);
}

/* e^x within 1.5 ulp. Outside [low, high] the result is 0 or infinity, which scaling gives by itself. */
FC_INLINE vec fc_exp(vec x) {
#if FC_DOUBLE
  const real low = -746, high = 710;
#else
  const real low = -104, high = 89;
#endif
  vec n;
  const vec r = fc_reduce(v_min(v_set1(high), v_max(v_set1(low), x)), &n);
  return v_scale(v_add(v_set1(1), fc_expm1_reduced(r)), n);
}

/* 1 / (1 + e^-x), from the e^-|x| that cannot overflow. */
FC_INLINE vec fc_sigmoid(vec x) {
  const vec e = fc_exp(v_sub(v_zero(), v_abs(x)));
  return v_div(v_select(v_lt(x, v_zero()), e, v_set1(1)), v_add(v_set1(1), e));
}

/* tanh |x| = m / (m + 2) with m = e^2|x| - 1 = 2^n (e^r - 1) + 2^n - 1, accurate near 0 too. */
FC_INLINE vec fc_tanh(vec x) {
  const real is_one = FC_DOUBLE ? 20 : 10; /* from here on the result rounds to 1 */
  const vec a = v_min(v_set1(is_one), v_abs(x));
  vec n;
  const vec r = fc_reduce(v_add(a, a), &n);
  const vec power = v_scale(v_set1(1), n);
  const vec m = v_fma(power, fc_expm1_reduced(r), v_sub(power, v_set1(1)));
  return v_copysign(v_div(m, v_add(m, v_set1(2))), x);
}

#endif
