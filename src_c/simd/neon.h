/* NEON of aarch64. The vocabulary is documented in scalar.h. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FC_ISA neon
#define FC_MR 8 /* 8 x 2 accumulators of 32 registers: with 24 of them GCC 12 spills */
#define FC_NV 2
#define FC_MR_BESIDE 16
#define FC_INLINE static inline __attribute__((always_inline, unused))
#define FC_WHOLE(n) (__builtin_constant_p(n) && (n) == VL) /* known at compile time to be a whole vector */

#if FC_DOUBLE
#define VL 2
typedef double real;
typedef float64x2_t vec;
typedef uint64x2_t mask;
#define V_(name) name##q_f64
#else
#define VL 4
typedef float real;
typedef float32x4_t vec;
typedef uint32x4_t mask;
#define V_(name) name##q_f32
#endif

FC_INLINE vec v_load(const real *p) { return V_(vld1)(p); }
FC_INLINE vec v_load_n(const real *p, ptrdiff_t n) {
  if (FC_WHOLE(n)) return v_load(p);
  real lane[VL] = {0};
  memcpy(lane, p, (size_t)n * sizeof(real));
  return v_load(lane);
}
FC_INLINE void v_store(real *p, vec a) { V_(vst1)(p, a); }
FC_INLINE void v_store_n(real *p, vec a, ptrdiff_t n) {
  if (FC_WHOLE(n)) {
    v_store(p, a);
  } else {
    real lane[VL];
    v_store(lane, a);
    memcpy(p, lane, (size_t)n * sizeof(real));
  }
}

FC_INLINE vec v_held(vec a) {
  __asm__("" : "+w"(a));
  return a;
}

FC_INLINE void v_ahead(const real *p) { (void)p; } /* not measured */
FC_INLINE void v_ahead_store(const real *p) { (void)p; }

typedef mask bytes; /* each widened to the size of an element */
FC_INLINE bytes b_load_n(const uint8_t *p, ptrdiff_t n) {
  bytes a = {0};
  for (ptrdiff_t i = 0; i < n; i++) a[i] = p[i];
  return a;
}
FC_INLINE void b_store_n(uint8_t *p, bytes a, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i++) p[i] = (uint8_t)a[i];
}
FC_INLINE bytes b_set1(uint8_t a) { return (bytes){0} + a; }
FC_INLINE mask b_eq(bytes a, bytes b) { return (mask)(a == b); }
FC_INLINE bytes b_select(mask m, bytes yes, bytes no) { return (m & yes) | (~m & no); }

#if FC_DOUBLE
FC_INLINE vec v_set1(real a) { return vdupq_n_f64(a); }
#else
FC_INLINE vec v_set1(real a) { return vdupq_n_f32(a); }
#endif
FC_INLINE vec v_zero(void) { return v_set1(0); }

FC_INLINE vec v_add(vec a, vec b) { return V_(vadd)(a, b); }
FC_INLINE vec v_sub(vec a, vec b) { return V_(vsub)(a, b); }
FC_INLINE vec v_mul(vec a, vec b) { return V_(vmul)(a, b); }
FC_INLINE vec v_div(vec a, vec b) { return V_(vdiv)(a, b); }
FC_INLINE vec v_fma(vec a, vec b, vec c) { return V_(vfma)(c, a, b); }
FC_INLINE vec v_fms(vec a, vec b, vec c) { return V_(vneg)(V_(vfms)(c, a, b)); }
/* vmaxq would return NaN where either is NaN: choose by comparison to return the second operand */
FC_INLINE vec v_max(vec a, vec b) { return V_(vbsl)(V_(vcgt)(a, b), a, b); }
FC_INLINE vec v_min(vec a, vec b) { return V_(vbsl)(V_(vclt)(a, b), a, b); }
FC_INLINE vec v_abs(vec a) { return V_(vabs)(a); }
FC_INLINE vec v_sqrt(vec a) { return V_(vsqrt)(a); }
FC_INLINE vec v_round(vec a) { return V_(vrndn)(a); }
#if FC_DOUBLE
FC_INLINE vec v_copysign(vec a, vec b) { return vbslq_f64(vdupq_n_u64(UINT64_C(1) << 63), b, a); }
FC_INLINE vec v_exp2_(vec n) {
  return vreinterpretq_f64_u64(vshlq_n_u64(vreinterpretq_u64_f64(v_add(n, v_set1(0x1.8p52 + 1023))), 52));
}
#else
FC_INLINE vec v_copysign(vec a, vec b) { return vbslq_f32(vdupq_n_u32(UINT32_C(1) << 31), b, a); }
FC_INLINE vec v_exp2_(vec n) {
  return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v_add(n, v_set1(0x1.8p23f + 127))), 23));
}
#endif
FC_INLINE vec v_scale(vec a, vec n) {
  const vec half = v_round(v_mul(n, v_set1((real)0.5)));
  return v_mul(v_mul(a, v_exp2_(half)), v_exp2_(v_sub(n, half)));
}

FC_INLINE mask v_lt(vec a, vec b) { return V_(vclt)(a, b); }
FC_INLINE mask v_le(vec a, vec b) { return V_(vcle)(a, b); }
FC_INLINE mask v_eq(vec a, vec b) { return V_(vceq)(a, b); }
FC_INLINE mask m_first(ptrdiff_t n) {
  mask a = {0};
  for (ptrdiff_t i = 0; i < n; i++) a[i] = (__typeof__(a[0]))-1;
  return a;
}
FC_INLINE mask m_and(mask a, mask b) { return a & b; }
FC_INLINE mask m_or(mask a, mask b) { return a | b; }
FC_INLINE mask m_not(mask a) { return ~a; }
FC_INLINE mask v_isnan(vec a) { return m_not(V_(vceq)(a, a)); }
FC_INLINE int m_any(mask a) { return vmaxvq_u32((uint32x4_t)a) != 0; }
FC_INLINE vec v_select(mask m, vec yes, vec no) { return V_(vbsl)(m, yes, no); }

typedef uint8x16_t permutation; /* of bytes */
FC_INLINE permutation v_permutation(const uint8_t *index) {
  uint8_t byte[16];
  for (size_t i = 0; i < sizeof byte; i++)
    byte[i] = (uint8_t)(index[i / sizeof(real)] * sizeof(real) + i % sizeof(real));
  return vld1q_u8(byte);
}
FC_INLINE vec v_permute(vec a, vec b, permutation p) {
  const uint8x16x2_t both = {{(uint8x16_t)a, (uint8x16_t)b}};
  return (vec)vqtbl2q_u8(both, p);
}
FC_INLINE vec v_pick(vec a, permutation p) { return (vec)vqtbl1q_u8((uint8x16_t)a, p); }

FC_INLINE real v_sum(vec a) { return V_(vaddv)(a); }
FC_INLINE real v_hmax(vec a) { return V_(vmaxv)(a); }

#undef V_
#endif
