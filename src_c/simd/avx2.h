/* AVX2 with FMA. The vocabulary is documented in scalar.h. */
#ifndef FC_SIMD_H
#define FC_SIMD_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FC_ISA avx2
#define FC_MR 6 /* 6 x 2 accumulators, 2 weights, 1 broadcast of 16 registers */
#define FC_NV 2
#define FC_MR_BESIDE 12
#define FC_INLINE static inline __attribute__((always_inline, unused))
#define FC_WHOLE(n) (__builtin_constant_p(n) && (n) == VL) /* known at compile time to be a whole vector */

#if FC_DOUBLE
#define VL 4
typedef double real;
typedef __m256d vec;
#define V_(name) _mm256_##name##_pd
#else
#define VL 8
typedef float real;
typedef __m256 vec;
#define V_(name) _mm256_##name##_ps
#endif
typedef vec mask; /* all bits of an element set or clear */

/* A sliding window over this table is the mask of the first n elements. */
#if FC_DOUBLE
static const int64_t v_window[2 * VL] = {-1, -1, -1, -1};
#else
static const int32_t v_window[2 * VL] = {-1, -1, -1, -1, -1, -1, -1, -1};
#endif
FC_INLINE __m256i v_first(ptrdiff_t n) { return _mm256_loadu_si256((const __m256i *)(v_window + VL - n)); }

FC_INLINE vec v_load(const real *p) { return V_(loadu)(p); }
FC_INLINE vec v_load_n(const real *p, ptrdiff_t n) { return FC_WHOLE(n) ? v_load(p) : V_(maskload)(p, v_first(n)); }
FC_INLINE void v_store(real *p, vec a) { V_(storeu)(p, a); }
FC_INLINE void v_store_n(real *p, vec a, ptrdiff_t n) {
  if (FC_WHOLE(n))
    v_store(p, a);
  else
    V_(maskstore)(p, v_first(n), a);
}

FC_INLINE vec v_held(vec a) {
  __asm__("" : "+x"(a));
  return a;
}

FC_INLINE void v_ahead(const real *p) { __builtin_prefetch((const char *)p + 2048, 0, 3); }
FC_INLINE void v_ahead_store(const real *p) { __builtin_prefetch((const char *)p + 1024, 1, 3); }

typedef __m256i bytes; /* each widened to the size of an element */
FC_INLINE bytes b_load_n(const uint8_t *p, ptrdiff_t n) {
  uint64_t packed = 0;
  if (n == VL)
    memcpy(&packed, p, VL);
  else
    memcpy(&packed, p, (size_t)n);
#if FC_DOUBLE
  return _mm256_cvtepu8_epi64(_mm_cvtsi64_si128((long long)packed));
#else
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)packed));
#endif
}
FC_INLINE void b_store_n(uint8_t *p, bytes a, ptrdiff_t n) {
#if FC_DOUBLE
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  const __m128i packed = _mm_shuffle_epi8(words, _mm_set1_epi32(0x0c080400));
#else
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  const __m128i packed = _mm_packus_epi16(words, words);
#endif
  if (n == VL)
    memcpy(p, &packed, VL);
  else
    memcpy(p, &packed, (size_t)n);
}
#if FC_DOUBLE
FC_INLINE bytes b_set1(uint8_t a) { return _mm256_set1_epi64x(a); }
FC_INLINE mask b_eq(bytes a, bytes b) { return _mm256_castsi256_pd(_mm256_cmpeq_epi64(a, b)); }
FC_INLINE bytes b_select(mask m, bytes yes, bytes no) { return _mm256_blendv_epi8(no, yes, _mm256_castpd_si256(m)); }
#else
FC_INLINE bytes b_set1(uint8_t a) { return _mm256_set1_epi32(a); }
FC_INLINE mask b_eq(bytes a, bytes b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
FC_INLINE bytes b_select(mask m, bytes yes, bytes no) { return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(m)); }
#endif

FC_INLINE vec v_zero(void) {
#if FC_DOUBLE
  return _mm256_setzero_pd();
#else
  return _mm256_setzero_ps();
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
FC_INLINE vec v_abs(vec a) { return V_(andnot)(v_set1((real)-0.0), a); }
FC_INLINE vec v_sqrt(vec a) { return V_(sqrt)(a); }
FC_INLINE vec v_round(vec a) { return V_(round)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
FC_INLINE vec v_copysign(vec a, vec b) {
  const vec sign = v_set1((real)-0.0);
  return V_(or)(V_(andnot)(sign, a), V_ (and)(sign, b));
}
FC_INLINE vec v_exp2_(vec n) {
#if FC_DOUBLE
  return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(v_add(n, v_set1(0x1.8p52 + 1023))), 52));
#else
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v_add(n, v_set1(0x1.8p23f + 127))), 23));
#endif
}
FC_INLINE vec v_scale(vec a, vec n) {
  const vec half = v_round(v_mul(n, v_set1((real)0.5)));
  return v_mul(v_mul(a, v_exp2_(half)), v_exp2_(v_sub(n, half)));
}

FC_INLINE mask v_lt(vec a, vec b) { return V_(cmp)(a, b, _CMP_LT_OQ); }
FC_INLINE mask v_le(vec a, vec b) { return V_(cmp)(a, b, _CMP_LE_OQ); }
FC_INLINE mask v_eq(vec a, vec b) { return V_(cmp)(a, b, _CMP_EQ_OQ); }
FC_INLINE mask v_isnan(vec a) { return V_(cmp)(a, a, _CMP_UNORD_Q); }
#if FC_DOUBLE
FC_INLINE mask m_first(ptrdiff_t n) { return _mm256_castsi256_pd(v_first(n)); }
#else
FC_INLINE mask m_first(ptrdiff_t n) { return _mm256_castsi256_ps(v_first(n)); }
#endif
FC_INLINE mask m_and(mask a, mask b) { return V_ (and)(a, b); }
FC_INLINE mask m_or(mask a, mask b) { return V_(or)(a, b); }
FC_INLINE mask m_not(mask a) { return V_(xor)(a, V_(cmp)(a, a, _CMP_TRUE_UQ)); }
FC_INLINE int m_any(mask a) { return V_(movemask)(a) != 0; }
FC_INLINE vec v_select(mask m, vec yes, vec no) { return V_(blendv)(no, yes, m); }

typedef __m256i permutation; /* of 32-bit halves in double; bit 3 chooses the second vector in both */
#if FC_DOUBLE
FC_INLINE permutation v_permutation(const uint8_t *index) {
  int32_t half[2 * VL];
  for (int i = 0; i < 2 * VL; i++) half[i] = 2 * index[i / 2] + i % 2;
  return _mm256_loadu_si256((const __m256i *)half);
}
FC_INLINE vec v_permute(vec a, vec b, permutation p) {
  const __m256 from_a = _mm256_permutevar8x32_ps(_mm256_castpd_ps(a), p);
  const __m256 from_b = _mm256_permutevar8x32_ps(_mm256_castpd_ps(b), p);
  return _mm256_castps_pd(_mm256_blendv_ps(from_a, from_b, _mm256_castsi256_ps(_mm256_slli_epi32(p, 28))));
}
FC_INLINE vec v_pick(vec a, permutation p) {
  return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(a), p));
}
#else
FC_INLINE permutation v_permutation(const uint8_t *index) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)index));
}
FC_INLINE vec v_permute(vec a, vec b, permutation p) {
  const __m256 from_a = _mm256_permutevar8x32_ps(a, p), from_b = _mm256_permutevar8x32_ps(b, p);
  return _mm256_blendv_ps(from_a, from_b, _mm256_castsi256_ps(_mm256_slli_epi32(p, 28)));
}
FC_INLINE vec v_pick(vec a, permutation p) { return _mm256_permutevar8x32_ps(a, p); }
#endif

FC_INLINE real v_sum(vec a) {
  real lane[VL], total[VL / 2];
  v_store(lane, a);
  for (int i = 0; i < VL / 2; i++) total[i] = lane[i] + lane[i + VL / 2];
  for (int half = VL / 4; half; half /= 2)
    for (int i = 0; i < half; i++) total[i] += total[i + half];
  return total[0];
}
FC_INLINE real v_hmax(vec a) {
  real lane[VL];
  v_store(lane, a);
  for (int half = VL / 2; half; half /= 2)
    for (int i = 0; i < half; i++) lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
  return lane[0];
}

#undef V_
#endif
