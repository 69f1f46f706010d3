/* Winograd's transforms of inputs, products and weights along one axis, and the packing of weights. */

enum { MOST_ALPHA = 6, MOST_PLANES = MOST_ALPHA * MOST_ALPHA, WINOGRAD_TILES = 112, LONGEST_LINE = 25 };

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

/* m outputs and r taps an axis share alpha = m + r - 1 points: F(2, 3), F(4, 3) and F(2, 5) along both. Kernels of one
 * row or column have F(4, 3) or F(3, 4) along it, and longer ones several parts of so many taps, whose products are
 * added up before they are transformed back: parts are to the product what input channels are. */
typedef struct {
  int alpha_y, alpha_x, m_y, m_x; /* 0 points where there is no such form */
  int taps, parts;
} fc_winograd_form;

static fc_winograd_form winograd_form(const fc_conv2d *c, int m) {
  const fc_window *w = &c->window;
  const int dense = w->dilation_y == 1 && w->dilation_x == 1;
  const int plain = w->stride_y == 1 && w->stride_x == 1 && (dense || w->padding == FC_ZEROS);
  if (plain && w->kh == w->kw && ((w->kh == 3 && (m == 2 || m == 4)) || (w->kh == 5 && m == 2))) {
    const int taps = (int)w->kh, alpha = m + taps - 1;
    return (fc_winograd_form){alpha, alpha, m, m, taps, 1};
  }
  const ptrdiff_t length = max_size(w->kh, w->kw);
  if (plain && min_size(w->kh, w->kw) == 1 && length >= 3 && length <= LONGEST_LINE && (m == 3 || m == 4)) {
    const int taps = MOST_ALPHA + 1 - m, parts = (int)ceil_div(length, taps), down = w->kw == 1;
    return (fc_winograd_form){down ? MOST_ALPHA : 1, down ? 1 : MOST_ALPHA, down ? m : 1, down ? 1 : m, taps, parts};
  }
  return (fc_winograd_form){0, 0, 0, 0, 0, 0};
}

typedef struct {
  const real *weight;
  real *packed;
  fc_winograd_form form;
  int taps, flip;
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

/* Parts of a line's taps, `part_step` apart in the packed weights; taps beyond the last are zero. */
FC_INLINE void winograd_pack_line(const int taps, int parts, const real *g, ptrdiff_t width, real *to, ptrdiff_t plane,
                                  ptrdiff_t part_step) {
  for (int part = 0; part < parts; part++, to += part_step, g += taps * width) {
    vec tap[4], u[MOST_ALPHA];
    FC_UNROLL(4)
    for (int i = 0; i < taps; i++) tap[i] = v_load(g + i * width);
    winograd_weight(MOST_ALPHA, taps, tap, 1, u, 1);
    FC_UNROLL(6)
    for (int i = 0; i < MOST_ALPHA; i++) v_store(to + i * plane, u[i]);
  }
}

static void winograd_pack_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_winograd_pack *p = context;
  const fc_winograd_form *f = &p->form;
  const ptrdiff_t planes = f->alpha_y * f->alpha_x, depth = p->depth * f->parts;
  const ptrdiff_t group = piece / p->panels, column = piece % p->panels * FC_PANEL;
  const ptrdiff_t width = panel_width(p->columns, column), columns = min_size(FC_PANEL, p->columns - column);
  real *to = p->packed + group * planes * packed_group(p->columns, depth) + column * planes * depth;
  real g[(LONGEST_LINE + 3) * FC_PANEL] = {0};
  for (ptrdiff_t d = 0; d < p->depth; d++) {
    const real *from = p->weight + group * p->group_step + column * p->column_step + d * p->depth_step;
    for (ptrdiff_t n = 0; n < columns; n++)
      for (int i = 0; i < p->taps; i++) g[i * width + n] = from[n * p->column_step + (p->flip ? p->taps - 1 - i : i)];
    for (ptrdiff_t n = 0; n < width; n += VL) {
      real *target = to + d * width + n;
      if (f->alpha_y != f->alpha_x && f->taps == 3)
        winograd_pack_line(3, f->parts, g + n, width, target, depth * width, p->depth * width);
      else if (f->alpha_y != f->alpha_x)
        winograd_pack_line(4, f->parts, g + n, width, target, depth * width, p->depth * width);
      else if (f->alpha_y == 4)
        winograd_pack_vector(4, 3, g + n, width, target, depth * width);
      else if (f->taps == 3)
        winograd_pack_vector(6, 3, g + n, width, target, depth * width);
      else
        winograd_pack_vector(6, 5, g + n, width, target, depth * width);
    }
  }
}

static int kernel_winograd_packed_size(const fc_conv2d *c, int m, int backward, ptrdiff_t *size) {
  const fc_winograd_form f = winograd_form(c, m);
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups;
  const ptrdiff_t planes = f.alpha_y * f.alpha_x * c->groups;
  *size = planes * (backward ? packed_group(in, out * f.parts) : packed_group(out, in * f.parts));
  return FC_OK;
}

static int kernel_winograd_pack(const fc_conv2d *c, int m, int backward, const void *weight, void *packed) {
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups,
                  taps = c->window.kh * c->window.kw;
  fc_winograd_pack p = {.weight = weight,
                        .packed = packed,
                        .form = winograd_form(c, m),
                        .taps = (int)taps,
                        .flip = backward,
                        .columns = backward ? in : out,
                        .depth = backward ? out : in,
                        .column_step = backward ? taps : in * taps,
                        .depth_step = backward ? in * taps : taps,
                        .group_step = out * in * taps};
  p.panels = ceil_div(p.columns, FC_PANEL);
  const double work = (double)c->out_channels * in * p.form.alpha_y * p.form.alpha_x * p.form.parts * 8;
  return fc_parallel(c->groups * p.panels, work, winograd_pack_piece, &p);
}
