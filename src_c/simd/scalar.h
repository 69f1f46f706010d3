/* The vector vocabulary, and its meaning: every other simd header offers the same names.
 *
 *   real          the element type, float or double as FC_DOUBLE says
 *   vec, VL       a vector and the number of elements it holds (here 1)
 *   mask          the result of a comparison, one truth value an element
 *   FC_MR, FC_NV  the register tile of the micro-kernel: FC_MR rows times FC_NV vectors
 *   FC_MR_BESIDE  rows of a tile of one vector, where rows lie side by side and share a pointer;
 *                 0 for none such
 *
 * Loads and stores need no alignment. The `_n` forms touch the first n elements only, 0 <= n <= VL; what a
 * partial load leaves out is zero; with a constant n = VL they are the plain forms. v_max(a, b) and v_min(a, b) return
 * b where either is NaN. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FC_ISA scalar
#define VL 1
#define FC_MR 4
#define FC_NV 8
#define FC_MR_BESIDE 0

#if FC_DOUBLE
typedef double real;
#else
typedef float real;
#endif
typedef real vec;
typedef int mask;

#define FC_INLINE static inline __attribute__((always_inline, unused))

/* memory */
FC_INLINE vec v_load(const real *p) { return *p; }
FC_INLINE vec v_load_n(const real *p, ptrdiff_t n) { return n > 0 ? *p : 0; }
FC_INLINE void v_store(real *p, vec a) { *p = a; }
FC_INLINE void v_store_n(real *p, vec a, ptrdiff_t n) {
  if (n > 0) *p = a;
}

/* a vector that is loaded once, for all its uses: GCC 12 would load it again for each that can read memory itself */
FC_INLINE vec v_held(vec a) { return a; }

/* memory that a stream will come to: asks for the cache line some distance beyond p, to be read or to be written. The
 * processor's own prefetching ends with each page. p may point anywhere. */
FC_INLINE void v_ahead(const real *p) { (void)p; }
FC_INLINE void v_ahead_store(const real *p) { (void)p; }

/* VL small whole numbers, 0 .. 255, kept in whatever form suits the masks of this instruction set */
typedef uint32_t bytes;
FC_INLINE bytes b_load_n(const uint8_t *p, ptrdiff_t n) { return n > 0 ? *p : 0; }
FC_INLINE void b_store_n(uint8_t *p, bytes a, ptrdiff_t n) {
  if (n > 0) *p = (uint8_t)a;
}
FC_INLINE bytes b_set1(uint8_t a) { return a; }
FC_INLINE mask b_eq(bytes a, bytes b) { return a == b; }
FC_INLINE bytes b_select(mask m, bytes yes, bytes no) { return m ? yes : no; }

/* making vectors */
FC_INLINE vec v_zero(void) { return 0; }
FC_INLINE vec v_set1(real a) { return a; }

/* arithmetic; v_fma(a, b, c) = a * b + c and v_fms(a, b, c) = a * b - c, rounded once where the instruction set can,
 * else twice */
FC_INLINE vec v_add(vec a, vec b) { return a + b; }
FC_INLINE vec v_sub(vec a, vec b) { return a - b; }
FC_INLINE vec v_mul(vec a, vec b) { return a * b; }
FC_INLINE vec v_div(vec a, vec b) { return a / b; }
FC_INLINE vec v_fma(vec a, vec b, vec c) { return a * b + c; }
FC_INLINE vec v_fms(vec a, vec b, vec c) { return a * b - c; }
FC_INLINE vec v_max(vec a, vec b) { return a > b ? a : b; }
FC_INLINE vec v_min(vec a, vec b) { return a < b ? a : b; }
FC_INLINE vec v_abs(vec a) { return FC_DOUBLE ? (vec)fabs((double)a) : (vec)fabsf((float)a); }
FC_INLINE vec v_sqrt(vec a) { return FC_DOUBLE ? (vec)sqrt((double)a) : (vec)sqrtf((float)a); }
/* to the nearest whole number, halves to even */
FC_INLINE vec v_round(vec a) { return FC_DOUBLE ? (vec)rint((double)a) : (vec)rintf((float)a); }
/* the magnitude of a with the sign of b */
FC_INLINE vec v_copysign(vec a, vec b) {
  return FC_DOUBLE ? (vec)copysign((double)a, (double)b) : (vec)copysignf((float)a, (float)b);
}
/* a * 2^n, a near 1 and n a whole number at most twice as large as the exponents of normal numbers; rounded once.
 * Half of n is added to each of two exponents, since 2^n itself need not be a number. */
FC_INLINE vec v_exp2_(vec n) {
  real result;
#if FC_DOUBLE
  uint64_t bits;
  const double shifted = n + (0x1.8p52 + 1023); /* the low bits now hold n + 1023 */
  memcpy(&bits, &shifted, sizeof bits);
  bits <<= 52;
#else
  uint32_t bits;
  const float shifted = n + (0x1.8p23f + 127);
  memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
#endif
  memcpy(&result, &bits, sizeof result);
  return result;
}
FC_INLINE vec v_scale(vec a, vec n) {
  const vec half = v_round(n * (real)0.5);
  return a * v_exp2_(half) * v_exp2_(n - half);
}

/* comparison (false where either is NaN) and choice */
FC_INLINE mask v_lt(vec a, vec b) { return a < b; }
FC_INLINE mask v_le(vec a, vec b) { return a <= b; }
FC_INLINE mask v_eq(vec a, vec b) { return a == b; }
FC_INLINE mask v_isnan(vec a) { return a != a; }
FC_INLINE mask m_first(ptrdiff_t n) { return n > 0; } /* the first n elements */
FC_INLINE mask m_and(mask a, mask b) { return a & b; }
FC_INLINE mask m_or(mask a, mask b) { return a | b; }
FC_INLINE mask m_not(mask a) { return !a; }
FC_INLINE int m_any(mask a) { return a; }
FC_INLINE vec v_select(mask m, vec yes, vec no) { return m ? yes : no; }

/* elements picked out of two vectors: index[i] < VL is an element of a, VL + j is element j of b */
typedef uint8_t permutation;
FC_INLINE permutation v_permutation(const uint8_t *index) { return *index; }
FC_INLINE vec v_permute(vec a, vec b, permutation p) { return p ? b : a; }
/* the same where all are elements of a */
FC_INLINE vec v_pick(vec a, permutation p) { return (void)p, a; }

/* across a vector */
FC_INLINE real v_sum(vec a) { return a; }
FC_INLINE real v_hmax(vec a) { return a; }

#endif
