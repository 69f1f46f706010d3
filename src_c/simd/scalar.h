/* The vector vocabulary, and its meaning: every other simd header offers the same names.
 *
 *   real          the element type, float or double as FC_DOUBLE says
 *   vec, VL       a vector and the number of elements it holds (here 1)
 *   mask          the result of a comparison, one truth value an element
 *   FC_MR, FC_NV  the register tile of the micro-kernel: FC_MR rows times FC_NV vectors
 *
 * Loads and stores need no alignment. The `_n` forms touch the first n elements only, 0 <= n <= VL; what a
 * partial load leaves out is zero. v_max(a, b) and v_min(a, b) return b where either is NaN. */
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
/* indices held as whole numbers in a vector (0..255, 0..65535), stored as bytes or as 16 bits */
FC_INLINE vec v_load_u8_n(const uint8_t *p, ptrdiff_t n) { return n > 0 ? (real)*p : 0; }
FC_INLINE void v_store_u8_n(uint8_t *p, vec a, ptrdiff_t n) {
  if (n > 0) *p = (uint8_t)a;
}

/* making vectors */
FC_INLINE vec v_zero(void) { return 0; }
FC_INLINE vec v_set1(real a) { return a; }

/* arithmetic; v_fma(a, b, c) = a * b + c, rounded once where the instruction set can, else twice */
FC_INLINE vec v_add(vec a, vec b) { return a + b; }
FC_INLINE vec v_sub(vec a, vec b) { return a - b; }
FC_INLINE vec v_mul(vec a, vec b) { return a * b; }
FC_INLINE vec v_div(vec a, vec b) { return a / b; }
FC_INLINE vec v_fma(vec a, vec b, vec c) { return a * b + c; }
FC_INLINE vec v_max(vec a, vec b) { return a > b ? a : b; }
FC_INLINE vec v_min(vec a, vec b) { return a < b ? a : b; }
FC_INLINE vec v_abs(vec a) { return FC_DOUBLE ? (vec)fabs((double)a) : (vec)fabsf((float)a); }
FC_INLINE vec v_sqrt(vec a) { return FC_DOUBLE ? (vec)sqrt((double)a) : (vec)sqrtf((float)a); }
/* to the nearest whole number, halves to even */
FC_INLINE vec v_round(vec a) { return FC_DOUBLE ? (vec)rint((double)a) : (vec)rintf((float)a); }
/* 2 to the power n, n a whole number in the range of normal exponents */
FC_INLINE vec v_exp2i(vec n) {
  real result;
#if FC_DOUBLE
  const uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
#else
  const uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
#endif
  memcpy(&result, &bits, sizeof result);
  return result;
}

/* comparison (false where either is NaN) and choice */
FC_INLINE mask v_lt(vec a, vec b) { return a < b; }
FC_INLINE mask v_le(vec a, vec b) { return a <= b; }
FC_INLINE mask v_eq(vec a, vec b) { return a == b; }
FC_INLINE mask v_isnan(vec a) { return a != a; }
FC_INLINE mask m_or(mask a, mask b) { return a | b; }
FC_INLINE mask m_not(mask a) { return !a; }
FC_INLINE int m_any(mask a) { return a; }
FC_INLINE vec v_select(mask m, vec yes, vec no) { return m ? yes : no; }

/* across a vector */
FC_INLINE real v_sum(vec a) { return a; }
FC_INLINE real v_hmax(vec a) { return a; }

#endif
