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
#define FC_INLINE static inline __attribute__((always_inline, unused))

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
  real lane[VL] = {0};
  memcpy(lane, p, (size_t)n * sizeof(real));
  return v_load(lane);
}
FC_INLINE void v_store(real *p, vec a) { V_(vst1)(p, a); }
FC_INLINE void v_store_n(real *p, vec a, ptrdiff_t n) {
  real lane[VL];
  v_store(lane, a);
  memcpy(p, lane, (size_t)n * sizeof(real));
}
FC_INLINE vec v_load_u8_n(const uint8_t *p, ptrdiff_t n) {
  real lane[VL] = {0};
  for (ptrdiff_t i = 0; i < n; i++) lane[i] = p[i];
  return v_load(lane);
}
FC_INLINE void v_store_u8_n(uint8_t *p, vec a, ptrdiff_t n) {
  real lane[VL];
  v_store(lane, a);
  for (ptrdiff_t i = 0; i < n; i++) p[i] = (uint8_t)lane[i];
}

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
/* vmaxq would return NaN where either is NaN: choose by comparison to return the second operand */
FC_INLINE vec v_max(vec a, vec b) { return V_(vbsl)(V_(vcgt)(a, b), a, b); }
FC_INLINE vec v_min(vec a, vec b) { return V_(vbsl)(V_(vclt)(a, b), a, b); }
FC_INLINE vec v_abs(vec a) { return V_(vabs)(a); }
FC_INLINE vec v_sqrt(vec a) { return V_(vsqrt)(a); }
FC_INLINE vec v_round(vec a) { return V_(vrndn)(a); }
FC_INLINE vec v_exp2i(vec n) {
#if FC_DOUBLE
  return vreinterpretq_f64_s64(vshlq_n_s64(vaddq_s64(vcvtnq_s64_f64(n), vdupq_n_s64(1023)), 52));
#else
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23));
#endif
}

FC_INLINE mask v_lt(vec a, vec b) { return V_(vclt)(a, b); }
FC_INLINE mask v_le(vec a, vec b) { return V_(vcle)(a, b); }
FC_INLINE mask v_eq(vec a, vec b) { return V_(vceq)(a, b); }
FC_INLINE mask m_or(mask a, mask b) { return a | b; }
FC_INLINE mask m_not(mask a) { return ~a; }
FC_INLINE mask v_isnan(vec a) { return m_not(V_(vceq)(a, a)); }
FC_INLINE int m_any(mask a) { return vmaxvq_u32((uint32x4_t)a) != 0; }
FC_INLINE vec v_select(mask m, vec yes, vec no) { return V_(vbsl)(m, yes, no); }

FC_INLINE real v_sum(vec a) { return V_(vaddv)(a); }
FC_INLINE real v_hmax(vec a) { return V_(vmaxv)(a); }

#undef V_
#endif
