/* exp, log(1 + x), tanh, the logistic function and the normal distribution of a vector, the same in every lane: NaN
 * gives NaN, infinities their limits, results below the normal numbers are rounded correctly into the subnormal ones.
 */
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

/* e^x within 1.5 ulp, x of a size that has a result. */
FC_INLINE vec fc_exp_within(vec x) {
  vec n;
  const vec r = fc_reduce(x, &n);
  return v_scale(v_add(v_set1(1), fc_expm1_reduced(r)), n);
}

/* The same for all x. Outside [low, high] the result is 0 or infinity, which scaling gives by itself. */
FC_INLINE vec fc_exp(vec x) {
#if FC_DOUBLE
  const real low = -746, high = 710;
#else
  const real low = -104, high = 89;
#endif
  return fc_exp_within(v_min(v_set1(high), v_max(v_set1(low), x)));
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

/* e^x - 1 for x <= 0, accurate near 0 too. */
FC_INLINE vec fc_expm1_below(vec x) {
  vec n;
  const vec r = fc_reduce(v_max(v_set1(FC_DOUBLE ? -746 : -104), x), &n);
  const vec power = v_scale(v_set1(1), n);
  return v_fma(power, fc_expm1_reduced(r), v_sub(power, v_set1(1)));
}

/* The polynomial whose coefficients begin with the highest power's; `count` is known to the compiler. Even and odd
 * powers apart, so that half as many steps wait for each other. */
FC_INLINE vec fc_polynomial(const real *coefficients, unsigned count, vec x) {
  const vec square = v_mul(x, x);
  vec last = v_set1(coefficients[1]), before = v_set1(coefficients[0]);
  for (unsigned i = 2; i < count; i++) {
    const vec next = v_fma(before, square, v_set1(coefficients[i]));
    before = last;
    last = next;
  }
  return v_fma(before, x, last);
}
#define FC_POLYNOMIAL(coefficients, x) fc_polynomial(coefficients, sizeof coefficients / sizeof *coefficients, x)

/* log(1 + x) for 0 <= x <= 1 as 2 artanh(s), s = x / (2 + x), a polynomial in s^2: 2^-54 in double, 2^-27 in float. */
FC_INLINE vec fc_log1p(vec x) {
#if FC_DOUBLE
  static const real p[] = {
      0x1.6c26693a7c095p-3, 0x1.94b79523b2fbbp-4, 0x1.1659956da410fp-3, 0x1.3aa5e932d3628p-3, 0x1.74628d4f43596p-3,
      0x1.c71c47af989fdp-3, 0x1.2492498161ca5p-2, 0x1.99999998ca58bp-2, 0x1.5555555555aeep-1, 0x1.0p+1};
#else
  static const real p[] = {0x1.2055eep-2f, 0x1.1e5cfcp-2f, 0x1.99da14p-2f, 0x1.5554e2p-1f, 0x1.0p+1f};
#endif
  const vec s = v_div(x, v_add(v_set1(2), x));
  return v_mul(s, FC_POLYNOMIAL(p, v_mul(s, s)));
}

/* The probability that a normal number is beyond |x|, and in `density` e^(-x^2/2). Their quotient times 1 + |x| is a
 * polynomial in (|x| - k) / (|x| + k), fitted up to where the density vanishes: 2^-55 in double, 2^-29 in float. */
FC_INLINE vec fc_normal_tail(vec x, vec *density) {
#if FC_DOUBLE
  static const real p[] = {
      0x1.27b21404bf69ep-29, 0x1.9a4205f0d46ap-30,   -0x1.c3f3b6e3ea191p-26, -0x1.6d1a3b3c66e35p-26,
      0x1.9af9c1091252fp-23, 0x1.05db500052513p-23,  -0x1.5e2775417b6b2p-20, -0x1.1c8b6988cbb21p-24,
      0x1.2ff56f98615ecp-17, -0x1.4c1de091448acp-17, -0x1.c1b0d161207dep-15, 0x1.7e6226d1850f4p-13,
      0x1.0570f7770e698p-17, -0x1.b75f50f61f4b8p-10, 0x1.ab6d03968fad2p-8,   -0x1.f11aaafe8675p-7,
      0x1.92037bab21889p-6,  -0x1.b08e0007d151ep-6,  0x1.47c1d03056ec8p-7,   0x1.fc66cc64a1cap-6,
      -0x1.76ff86859eb2p-4,  0x1.d8979b0f2b39dp-2};
  const real most = (real)38.7, k = 5;
#else
  static const real p[] = {-0x1.36186p-14f, -0x1.13a72p-14f, 0x1.6a67ccp-11f, -0x1.3b180cp-12f,
                           -0x1.47d86p-8f,  0x1.25ebecp-6f,  -0x1.07c388p-5f, 0x1.d49536p-6f,
                           0x1.cabd6ap-7f,  -0x1.8c18fp-4f,  0x1.e361eap-2f};
  const real most = (real)14.5, k = 4;
#endif
  const vec a = v_min(v_set1(most), v_abs(x)), half = v_mul(v_set1((real)-0.5), a), power = v_mul(half, a);
  const vec e = fc_exp_within(power), lost = v_fma(half, a, v_sub(v_zero(), power));
  *density = v_fma(e, lost, e); /* what squaring lost would be magnified */
  const vec more = v_add(a, v_set1(k)), beside = v_add(v_set1(1), a);
  const vec inverse = v_div(v_set1(1), v_mul(more, beside)); /* one division for two */
  const vec q = v_mul(v_mul(v_sub(a, v_set1(k)), beside), inverse);
  return v_mul(v_mul(*density, FC_POLYNOMIAL(p, q)), v_mul(more, inverse));
}

#endif
