/* Fourier transforms of VL sequences at a time, one a lane.
 *
 * A complex number is VL real parts followed by VL imaginary ones. The forward transform takes natural order and leaves
 * its result in digit-reversed order (decimation in frequency, radix 4, a last pass of radix 2 where the length is not
 * a power of 4); the inverse, not scaled, takes that order back. So nothing is ever reordered: products of spectra do
 * not care. Real sequences go in pairs, one in the real parts and one in the imaginary parts: filtering by real
 * weights keeps them apart. */

typedef struct {
  vec re, im;
} fc_complex;

enum { FFT_STEP = 2 * VL };

FC_INLINE fc_complex c_load(const real *p) { return (fc_complex){v_load(p), v_load(p + VL)}; }
FC_INLINE void c_store(real *p, fc_complex a) {
  v_store(p, a.re);
  v_store(p + VL, a.im);
}
FC_INLINE fc_complex c_set1(const real *p) { return (fc_complex){v_set1(p[0]), v_set1(p[1])}; }
FC_INLINE fc_complex c_add(fc_complex a, fc_complex b) { return (fc_complex){v_add(a.re, b.re), v_add(a.im, b.im)}; }
FC_INLINE fc_complex c_sub(fc_complex a, fc_complex b) { return (fc_complex){v_sub(a.re, b.re), v_sub(a.im, b.im)}; }
/* a + ib, a - ib */
FC_INLINE fc_complex c_add_i(fc_complex a, fc_complex b) { return (fc_complex){v_sub(a.re, b.im), v_add(a.im, b.re)}; }
FC_INLINE fc_complex c_sub_i(fc_complex a, fc_complex b) { return (fc_complex){v_add(a.re, b.im), v_sub(a.im, b.re)}; }
/* ab, a times the conjugate of b */
FC_INLINE fc_complex c_mul(fc_complex a, fc_complex b) {
  return (fc_complex){v_sub(v_mul(a.re, b.re), v_mul(a.im, b.im)), v_fma(a.re, b.im, v_mul(a.im, b.re))};
}
FC_INLINE fc_complex c_mul_conj(fc_complex a, fc_complex b) {
  return (fc_complex){v_fma(a.re, b.re, v_mul(a.im, b.im)), v_sub(v_mul(a.im, b.re), v_mul(a.re, b.im))};
}

/* Elements of the twiddle factors for length n, a power of two. */
static size_t fft_twiddle_count(ptrdiff_t n) { return (size_t)(2 * n); }

/* exp(-2 pi i p j / length) for p = 1, 2, 3, j below length / 4, and length = n, n / 4, n / 16 ... above 4. */
static void fft_twiddles(real *to, ptrdiff_t n) {
  for (ptrdiff_t length = n; length > 4; length /= 4)
    for (ptrdiff_t j = 0; j < length / 4; j++)
      for (ptrdiff_t p = 1; p <= 3; p++) {
        const double angle = -2 * M_PI * (double)(p * j) / (double)length;
        *to++ = (real)cos(angle);
        *to++ = (real)sin(angle);
      }
}

/* One pass of radix 4 over n numbers, `step` reals apart, in sequences of `length`. */
FC_INLINE void fft_pass(const int inverse, const int twiddled, real *data, ptrdiff_t n, ptrdiff_t step,
                        ptrdiff_t length, const real *twiddles) {
  const ptrdiff_t quarter = length / 4 * step;
  for (ptrdiff_t j = 0; j < length / 4; j++) {
    fc_complex w1, w2, w3;
    if (twiddled) w1 = c_set1(twiddles + 6 * j), w2 = c_set1(twiddles + 6 * j + 2), w3 = c_set1(twiddles + 6 * j + 4);
    for (real *p = data + j * step; p < data + n * step; p += length * step) {
      fc_complex a = c_load(p), b = c_load(p + quarter), c = c_load(p + 2 * quarter), d = c_load(p + 3 * quarter);
      if (inverse) {
        if (twiddled) b = c_mul_conj(b, w1), c = c_mul_conj(c, w2), d = c_mul_conj(d, w3);
        const fc_complex s = c_add(a, c), t = c_add(b, d), u = c_sub(a, c), v = c_sub(b, d);
        a = c_add(s, t), b = c_add_i(u, v), c = c_sub(s, t), d = c_sub_i(u, v);
      } else {
        const fc_complex s = c_add(a, c), t = c_add(b, d), u = c_sub(a, c), v = c_sub(b, d);
        a = c_add(s, t), b = c_sub_i(u, v), c = c_sub(s, t), d = c_add_i(u, v);
        if (twiddled) b = c_mul(b, w1), c = c_mul(c, w2), d = c_mul(d, w3);
      }
      c_store(p, a);
      c_store(p + quarter, b);
      c_store(p + 2 * quarter, c);
      c_store(p + 3 * quarter, d);
    }
  }
}

/* The pass of radix 2 is its own inverse, but for the scale. */
static void fft_pairs(real *data, ptrdiff_t n, ptrdiff_t step) {
  for (real *p = data; p < data + n * step; p += 2 * step) {
    const fc_complex a = c_load(p), b = c_load(p + step);
    c_store(p, c_add(a, b));
    c_store(p + step, c_sub(a, b));
  }
}

/* n numbers, `step` reals apart. */
static void fft_forward(real *data, ptrdiff_t n, ptrdiff_t step, const real *twiddles) {
  ptrdiff_t length = n;
  for (; length > 4; length /= 4) {
    fft_pass(0, 1, data, n, step, length, twiddles);
    twiddles += length / 4 * 6;
  }
  if (length == 4)
    fft_pass(0, 0, data, n, step, 4, NULL);
  else if (length == 2)
    fft_pairs(data, n, step);
}

static void fft_inverse(real *data, ptrdiff_t n, ptrdiff_t step, const real *twiddles) {
  ptrdiff_t length = n;
  for (; length > 4; length /= 4) twiddles += length / 4 * 6;
  if (length == 4)
    fft_pass(1, 0, data, n, step, 4, NULL);
  else if (length == 2)
    fft_pairs(data, n, step);
  for (length = length == 4 ? 16 : 4 * length; length <= n; length *= 4) {
    twiddles -= length / 4 * 6;
    fft_pass(1, 1, data, n, step, length, twiddles);
  }
}

/* Turns VL complex numbers of VL sequences, the real parts or, from VL elements on, the imaginary parts. */
FC_INLINE void fft_transpose(const fc_transposition *t, const real *from, real *to) {
  vec row[VL];
  FC_UNROLL(16)
  for (int i = 0; i < VL; i++) row[i] = v_load(from + i * FFT_STEP);
  transpose_block(t, row);
  FC_UNROLL(16)
  for (int i = 0; i < VL; i++) v_store(to + i * FFT_STEP, row[i]);
}
