/* Winograd's transforms of inputs, products and weights along one axis, and the packing of weights. */

enum { MOST_ALPHA = 6, MOST_PLANES = MOST_ALPHA * MOST_ALPHA, WINOGRAD_TILES = 112 };

#define ROOT2 ((real)1.41421356237309504880)
#define HALF_ROOT2 ((real)0.70710678118654752440)

/* B^T d: the input's transform, in place on alpha vectors `step` apart. */
FC_INLINE void winograd_input(const int alpha, vec *d, const int step) {
  if (alpha == 4) { /* points 0, 1, -1, infinity */
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    d[0] = v_sub(d0, d2);
    d[step] = v_add(d1, d2);
    d[2 * step] = v_sub(d2, d1);
    d[3 * step] = v_sub(d3, d1);
    return;
  }
  const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  const vec far = v_set1((real)-2.5), near_even = v_fma(v_set1(-2), d2, d4),
            wide_even = v_fma(v_set1((real)-0.5), d2, d4);
  const vec near_odd = v_fma(v_set1(HALF_ROOT2), d3, v_mul(v_set1(-ROOT2), d1));
  const vec wide_odd = v_fma(v_set1(ROOT2), d3, v_mul(v_set1(-HALF_ROOT2), d1));
  d[0] = v_fma(far, d2, v_add(d0, d4));
  d[step] = v_add(near_even, near_odd);
  d[2 * step] = v_sub(near_even, near_odd);
  d[3 * step] = v_add(wide_even, wide_odd);
  d[4 * step] = v_sub(wide_even, wide_odd);
  d[5 * step] = v_fma(far, d3, v_add(d1, d5));
}

/* A^T y: alpha products, `step` apart, to m outputs (2, 3 or 4), `out_step` apart. */
FC_INLINE void winograd_output(const int alpha, const int m, const vec *y, const int step, vec *out,
                               const int out_step) {
  if (alpha == 4) {
    const vec sum = v_add(y[step], y[2 * step]), difference = v_sub(y[step], y[2 * step]);
    out[0] = v_add(y[0], sum);
    out[out_step] = v_add(difference, y[3 * step]);
    return;
  }
  const vec near_sum = v_add(y[step], y[2 * step]), near_difference = v_sub(y[step], y[2 * step]);
  const vec wide_sum = v_add(y[3 * step], y[4 * step]), wide_difference = v_sub(y[3 * step], y[4 * step]);
  const vec odd = v_fma(v_set1(HALF_ROOT2), near_difference, v_mul(v_set1(ROOT2), wide_difference));
  out[0] = v_add(v_add(y[0], near_sum), wide_sum);
  if (m == 2) {
    out[out_step] = v_add(odd, y[5 * step]);
    return;
  }
  out[out_step] = odd;
  out[2 * out_step] = v_fma(v_set1((real)0.5), near_sum, v_add(wide_sum, wide_sum));
  if (m == 3) {
    out[2 * out_step] = v_add(out[2 * out_step], y[5 * step]);
    return;
  }
  out[3 * out_step] =
      v_fma(v_set1((real)0.5 * HALF_ROOT2), near_difference, v_fma(v_set1(2 * ROOT2), wide_difference, y[5 * step]));
}

/* G g: the taps of one axis, `step` apart, to alpha weights, `out_step` apart; taps is 3, 4 or 5. */
FC_INLINE void winograd_weight(const int alpha, const int taps, const vec *g, const int step, vec *out,
                               const int out_step) {
  const vec odd = taps >= 4 ? g[3 * step] : v_zero(), top = taps == 5 ? g[4 * step] : v_zero();
  out[0] = g[0];
  out[(alpha - 1) * out_step] = g[(taps - 1) * step];
  if (alpha == 4) {
    const vec half = v_set1((real)0.5), even = v_add(g[0], g[2 * step]);
    out[out_step] = v_mul(half, v_add(even, g[step]));
    out[2 * out_step] = v_mul(half, v_sub(even, g[step]));
    return;
  }
  /* at x: g0 + x^2 (g2 + x^2 g4) +- x (g1 + x^2 g3), over the products of differences -3/2 and 6 */
  const vec near_even = v_fma(v_set1((real)0.5), v_fma(v_set1((real)0.5), top, g[2 * step]), g[0]);
  const vec near_odd = v_mul(v_set1(HALF_ROOT2), v_fma(v_set1((real)0.5), odd, g[step]));
  const vec wide_even = v_fma(v_set1(2), v_fma(v_set1(2), top, g[2 * step]), g[0]);
  const vec wide_odd = v_mul(v_set1(ROOT2), v_fma(v_set1(2), odd, g[step]));
  const vec near = v_set1((real)(-2.0 / 3)), wide = v_set1((real)(1.0 / 6));
  out[out_step] = v_mul(near, v_add(near_even, near_odd));
  out[2 * out_step] = v_mul(near, v_sub(near_even, near_odd));
  out[3 * out_step] = v_mul(wide, v_add(wide_even, wide_odd));
  out[4 * out_step] = v_mul(wide, v_sub(wide_even, wide_odd));
}

/* --- weights ----------------------------------------------------------------------------------------------------- */

typedef struct {
  const real *weight;
  real *packed;
  int alpha, taps, flip;
  ptrdiff_t columns, depth, panels, column_step, depth_step, group_step;
} fc_winograd_pack;

FC_INLINE void winograd_pack_vector(const int alpha, const int taps, const real *g, ptrdiff_t width, real *to,
                                    ptrdiff_t plane) {
  vec tap[25], half[MOST_PLANES], u[MOST_PLANES];
  FC_UNROLL(25)
  for (int i = 0; i < taps * taps; i++) tap[i] = v_load(g + i * width);
  FC_UNROLL(5)
  for (int x = 0; x < taps; x++) winograd_weight(alpha, taps, tap + x, taps, half + x, taps);
  FC_UNROLL(6)
  for (int y = 0; y < alpha; y++) winograd_weight(alpha, taps, half + y * taps, 1, u + y * alpha, 1);
  FC_UNROLL(36)
  for (int i = 0; i < alpha * alpha; i++) v_store(to + i * plane, u[i]);
}

static void winograd_pack_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_winograd_pack *p = context;
  const int taps = p->taps * p->taps;
  const ptrdiff_t planes = p->alpha * p->alpha, depth = p->depth;
  const ptrdiff_t group = piece / p->panels, column = piece % p->panels * FC_PANEL;
  const ptrdiff_t width = panel_width(p->columns, column), columns = min_size(FC_PANEL, p->columns - column);
  real *to = p->packed + group * planes * packed_group(p->columns, depth) + column * planes * depth;
  real g[25 * FC_PANEL] = {0};
  for (ptrdiff_t d = 0; d < depth; d++) {
    const real *from = p->weight + group * p->group_step + column * p->column_step + d * p->depth_step;
    for (ptrdiff_t n = 0; n < columns; n++)
      for (int i = 0; i < taps; i++) g[i * width + n] = from[n * p->column_step + (p->flip ? taps - 1 - i : i)];
    for (ptrdiff_t n = 0; n < width; n += VL) {
      real *target = to + d * width + n;
      if (p->alpha == 4)
        winograd_pack_vector(4, 3, g + n, width, target, depth * width);
      else if (p->taps == 3)
        winograd_pack_vector(6, 3, g + n, width, target, depth * width);
      else
        winograd_pack_vector(6, 5, g + n, width, target, depth * width);
    }
  }
}

/* m outputs and r taps an axis share alpha = m + r - 1 points: F(2, 3), F(4, 3) and F(2, 5). */
static int winograd_alpha(const fc_conv2d *c, int m) {
  const fc_window *w = &c->window;
  const int dense = w->dilation_y == 1 && w->dilation_x == 1;
  const int plain = w->stride_y == 1 && w->stride_x == 1 && w->kh == w->kw && (dense || w->padding == FC_ZEROS);
  return plain && ((w->kh == 3 && (m == 2 || m == 4)) || (w->kh == 5 && m == 2)) ? m + (int)w->kh - 1 : 0;
}

static int kernel_winograd_packed_size(const fc_conv2d *c, int m, int backward, ptrdiff_t *size) {
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups, alpha = winograd_alpha(c, m);
  *size = alpha * alpha * c->groups * (backward ? packed_group(in, out) : packed_group(out, in));
  return FC_OK;
}

static int kernel_winograd_pack(const fc_conv2d *c, int m, int backward, const void *weight, void *packed) {
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups,
                  taps = c->window.kh * c->window.kw;
  fc_winograd_pack p = {.weight = weight,
                        .packed = packed,
                        .alpha = winograd_alpha(c, m),
                        .taps = (int)c->window.kh,
                        .flip = backward,
                        .columns = backward ? in : out,
                        .depth = backward ? out : in,
                        .column_step = backward ? taps : in * taps,
                        .depth_step = backward ? in * taps : taps,
                        .group_step = out * in * taps};
  p.panels = ceil_div(p.columns, FC_PANEL);
  return fc_parallel(c->groups * p.panels, (double)c->out_channels * in * p.alpha * p.alpha * 8, winograd_pack_piece,
                     &p);
}
