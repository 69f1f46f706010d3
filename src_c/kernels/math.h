/* exp, log(1 + x), tanh, the logistic function and the normal distribution of a vector, the same in every lane: NaN
 * gives NaN, infinities their limits, results below the normal numbers are rounded correctly into the subnormal ones.
 */
#ifndef FC_MATH_H
#define FC_MATH_H

/* n and r with x = n ln 2 + r, |r| <= ln 2 / 2. ln 2 in two parts, the first so short that its product with n is exact.
 */
FC_INLINE vec fc_reduce(vec x, vec *n) {
#if FC_DOUBLE
  const real high = 0x1.62e42fee00000p-1, low = 0x1.a39ef35793c76p-33, whole = 0x1.8p52;
#else
  const real high = 0x1.63p-1f, low = -0x1.bd0106p-13f, whole = 0x1.8p23f;
#endif
  *n =
      v_sub(v_fma(x, v_set1((real)1.4426950408889634), v_set1(whole)), v_set1(whole)); /* no fraction has place there */
  return v_fma(*n, v_set1(-low), v_fma(*n, v_set1(-high), x));
}

/* q(r) of e^r = 1 + r + r^2 q(r) for |r| <= ln 2 / 2, minimax (Remez): 2^-58 of e^r in double, 2^-28 in float. */
FC_INLINE vec fc_exp_polynomial(vec r) {
#if FC_DOUBLE
  static const real q[] = {0x1.af85b598089cep-26, 0x1.28b072ace3431p-22, 0x1.71dddfae89bf5p-19, 0x1.a0199667edec4p-16,
                           0x1.a01a01baef9aep-13, 0x1.6c16c185b70a3p-10, 0x1.111111110d611p-7,  0x1.555555554ffeap-5,
                           0x1.5555555555561p-3,  0x1.000000000000cp-1};
#else
  static const real q[] = {0x1.6db480p-10f, 0x1.123b92p-7f, 0x1.55545ep-5f, 0x1.55548ep-3f, 0x1.000000p-1f};
#endif
  vec sum = v_set1(q[0]);
  for (unsigned i = 1; i < sizeof q / sizeof q[0]; i++) sum = v_fma(sum, r, v_set1(q[i]));
  return sum;
}

/* e^r - 1, as accurate near 0 as elsewhere */
FC_INLINE vec fc_expm1_reduced(vec r) { return v_fma(v_mul(r, r), fc_exp_polynomial(r), r); }

/* 2^n e^r within 1.5 ulp, for |r| <= ln 2 / 2 */
FC_INLINE vec fc_exp_of(vec r, vec n) {
  const vec one = v_set1(1);
  return v_scale(v_fma(v_fma(fc_exp_polynomial(r), r, one), r, one), n);
}

/* The same for all x. Outside [low, high] the result is 0 or infinity, which scaling gives by itself. */
FC_INLINE vec fc_exp(vec x) {
#if FC_DOUBLE
  const real low = -746, high = 710;
#else
  const real low = -104, high = 89;
#endif
  vec n;
  const vec r = fc_reduce(v_min(v_set1(high), v_max(v_set1(low), x)), &n);
  return fc_exp_of(r, n);
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

/* |x|, but no more than where the normal density vanishes. */
FC_INLINE vec fc_normal_distance(vec x) { return v_min(v_set1(FC_DOUBLE ? (real)38.7 : (real)14.5), v_abs(x)); }

/* e^(-a^2/2), and in `tail` the probability that a normal number is beyond a distance a, divided by that and times
 * -`factor`, so that the product of both, which may be tiny, is rounded once. The quotient times a + k is a polynomial
 * in (a - k) / (a + k), minimax (Remez): 2^-57 in double, 2^-28 in float. */
FC_INLINE vec fc_normal_tail(vec a, vec factor, vec *tail) {
#if FC_DOUBLE
  static const real p[] = {
      -0x1.629416937ac08p-29, -0x1.846fe1efa4fcap-28, 0x1.8a1aa3bff9a30p-26, 0x1.afa60313ca341p-25,
      -0x1.7d62644ec3ec2p-23, -0x1.1f856edad5a5ep-22, 0x1.8e52840a10339p-20, 0x1.df44715420644p-22,
      -0x1.96a48e668dba6p-17, 0x1.11cdc72f26800p-16,  0x1.2b891ccf5be27p-14, -0x1.544962c10839bp-12,
      0x1.1ab345dd42973p-12,  0x1.4034e561ce022p-9,   -0x1.c83edf433632bp-7, 0x1.71707b5751f86p-5,
      -0x1.c15806fa49140p-4,  0x1.be33e6ee995efp-3,   -0x1.77dbb5cdda96cp-2, 0x1.1239b3f8c06dap-1,
      -0x1.5ed05c7e41a2ep-1,  0x1.8c2b8893b5c8dp-1};
  const real k = (real)5.5;
#else
  static const real p[] = {0x1.188c1cp-13f, 0x1.428644p-12f, -0x1.bd4084p-11f, -0x1.26d9e6p-9f, 0x1.006a50p-7f,
                           0x1.1db1cap-7f,  -0x1.92fb9cp-4f, 0x1.2e770ap-2f,   -0x1.1b21ccp-1f, 0x1.7b6ee0p-1f};
  const real k = (real)3.375;
#endif
  const vec inverse = v_div(v_set1(-1), v_add(a, v_set1(k))), half = v_mul(v_set1((real)-0.5), a),
            power = v_mul(half, a);
  vec n;
  const vec r = fc_reduce(power, &n);
  const vec q = v_mul(v_sub(v_set1(k), a), inverse);
  *tail = v_mul(FC_POLYNOMIAL(p, q), v_mul(inverse, factor));
  return fc_exp_of(v_add(r, v_fms(half, a, power)), n); /* with what squaring lost, which e^x would magnify */
}

#ifdef FC_LOOKUP
#include "normal_table.h"

/* The probability that a normal number is beyond a distance a <= FC_NORMAL_END, within 3 ulp, in half the time. */
FC_INLINE vec fc_normal_beyond(vec a) {
  const vec whole = v_set1(0x1.8p23f), at = v_fma(a, v_set1(1 / FC_NORMAL_STEP), whole); /* no fraction has place */
  const vec t = v_fma(v_sub(at, whole), v_set1(-FC_NORMAL_STEP), a);
  int power = sizeof fc_normal_table / sizeof *fc_normal_table - 1;
  vec sum = v_lookup(fc_normal_table[power], at);
  while (power--) sum = v_fma(sum, t, v_lookup(fc_normal_table[power], at));
  return sum;
}
#endif

#endif
