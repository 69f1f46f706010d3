/* AVX-512 F, DQ, BW, VL. The vocabulary is documented in scalar.h. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define FC_ISA avx512
#define FC_MR 14 /* 14 x 2 accumulators, 2 weights, 1 broadcast: the 32 registers; feature maps are 7 * 2^k wide */
#define FC_NV 2
#define FC_MR_BESIDE 28
#define FC_INLINE static inline __attribute__((always_inline, unused))
#define FC_WHOLE(n) (__builtin_constant_p(n) && (n) == VL) /* known at compile time to be a whole vector */

#if FC_DOUBLE
#define VL 8
typedef double real;
typedef __m512d vec;
typedef __mmask8 mask;
#define V_(name) _mm512_##name##_pd
#define V_CMP _mm512_cmp_pd_mask
#else
#define VL 16
typedef float real;
typedef __m512 vec;
typedef __mmask16 mask;
#define V_(name) _mm512_##name##_ps
#define V_CMP _mm512_cmp_ps_mask
#endif

/* n is at most VL; BZHI takes any such n without a branch */
FC_INLINE mask v_first(ptrdiff_t n) { return (mask)_bzhi_u32(0xffffffffu, (unsigned)n); }

FC_INLINE vec v_load(const real *p) { return V_(loadu)(p); }
FC_INLINE vec v_load_n(const real *p, ptrdiff_t n) { return FC_WHOLE(n) ? v_load(p) : V_(maskz_loadu)(v_first(n), p); }
FC_INLINE void v_store(real *p, vec a) { V_(storeu)(p, a); }
FC_INLINE void v_store_n(real *p, vec a, ptrdiff_t n) {
  if (FC_WHOLE(n))
    v_store(p, a);
  else
    V_(mask_storeu)(p, v_first(n), a);
}

FC_INLINE vec v_held(vec a) {
  __asm__("" : "+v"(a));
  return a;
}

FC_INLINE void v_ahead(const real *p) { __builtin_prefetch((const char *)p + 2048, 0, 3); }
FC_INLINE void v_ahead_store(const real *p) { __builtin_prefetch((const char *)p + 1024, 1, 3); }

typedef __m128i bytes;
FC_INLINE bytes b_load_n(const uint8_t *p, ptrdiff_t n) { return _mm_maskz_loadu_epi8(v_first(n), p); }
FC_INLINE void b_store_n(uint8_t *p, bytes a, ptrdiff_t n) { _mm_mask_storeu_epi8(p, v_first(n), a); }
FC_INLINE bytes b_set1(uint8_t a) { return _mm_set1_epi8((char)a); }
FC_INLINE mask b_eq(bytes a, bytes b) { return (mask)_mm_cmpeq_epi8_mask(a, b); }
FC_INLINE bytes b_select(mask m, bytes yes, bytes no) { return _mm_mask_blend_epi8(m, no, yes); }

FC_INLINE vec v_zero(void) {
#if FC_DOUBLE
  return _mm512_setzero_pd();
#else
  return _mm512_setzero_ps();
#endif
}
FC_INLINE vec v_set1(real a) { return V_(set1)(a); }

FC_INLINE vec v_add(vec a, vec b) { return V_(add)(a, b); }
FC_INLINE vec v_sub(vec a, vec b) { return V_(sub)(a, b); }
FC_INLINE vec v_mul(vec a, vec b) { return V_(mul)(a, b); }
FC_INLINE vec v_div(vec a, vec b) { return V_(div)(a, b); }
FC_INLINE vec v_fma(vec a, vec b, vec c) { return V_(fmadd)(a, b, c); }
FC_INLINE vec v_fms(vec a, vec b, vec c) { return V_(fmsub)(a, b, c); }
FC_INLINE vec v_max(vec a, vec b) { return V_(max)(a, b); }
FC_INLINE vec v_min(vec a, vec b) { return V_(min)(a, b); }
FC_INLINE vec v_abs(vec a) { return V_(abs)(a); }
FC_INLINE vec v_sqrt(vec a) { return V_(sqrt)(a); }
FC_INLINE vec v_round(vec a) { return V_(roundscale)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
FC_INLINE vec v_copysign(vec a, vec b) {
  const vec sign = v_set1((real)-0.0);
  return V_(or)(V_(andnot)(sign, a), V_ (and)(sign, b));
}
FC_INLINE vec v_scale(vec a, vec n) { return V_(scalef)(a, n); }

FC_INLINE mask v_lt(vec a, vec b) { return V_CMP(a, b, _CMP_LT_OQ); }
FC_INLINE mask v_le(vec a, vec b) { return V_CMP(a, b, _CMP_LE_OQ); }
FC_INLINE mask v_eq(vec a, vec b) { return V_CMP(a, b, _CMP_EQ_OQ); }
FC_INLINE mask v_isnan(vec a) { return V_CMP(a, a, _CMP_UNORD_Q); }
FC_INLINE mask m_first(ptrdiff_t n) { return v_first(n); }
FC_INLINE mask m_and(mask a, mask b) { return (mask)(a & b); }
FC_INLINE mask m_or(mask a, mask b) { return (mask)(a | b); }
FC_INLINE mask m_not(mask a) { return (mask)~a; }
FC_INLINE int m_any(mask a) { return a != 0; }
FC_INLINE vec v_select(mask m, vec yes, vec no) { return V_(mask_blend)(m, no, yes); }

typedef __m512i permutation;
#if FC_DOUBLE
FC_INLINE permutation v_permutation(const uint8_t *index) {
  return _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)index));
}
#else
FC_INLINE permutation v_permutation(const uint8_t *index) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)index));
}
#endif
FC_INLINE vec v_permute(vec a, vec b, permutation p) { return V_(permutex2var)(a, p, b); }
FC_INLINE vec v_pick(vec a, permutation p) { return V_(permutexvar)(p, a); }

#if !FC_DOUBLE
#define FC_LOOKUP 32
/* The entries of a table of 32 at the places that the lowest bits of `at` say, two registers' worth in one step. */
FC_INLINE vec v_lookup(const real *table, vec at) {
  return _mm512_permutex2var_ps(v_load(table), _mm512_castps_si512(at), v_load(table + VL));
}
#endif

FC_INLINE real v_sum(vec a) { return V_(reduce_add)(a); }
FC_INLINE real v_hmax(vec a) { return V_(reduce_max)(a); }

#undef V_
#undef V_CMP
#endif
