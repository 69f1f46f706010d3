/* Winograd's transforms of inputs, products and weights along one axis, and the packing of weights. */

enum {
  MOST_ALPHA = 6,
  MOST_PLANES = MOST_ALPHA * MOST_ALPHA,
  WINOGRAD_TILES = 112,
  LONGEST_LINE = 25,
  TURNED = 144 /* taps of several channels that are transposed at once: whole vectors of 3x3 ones */
};

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

/* A^T y: alpha products, `step` apart, to m outputs (2, 3 or 4; of 4 points 2 or 3), `out_step` apart. */
FC_INLINE void winograd_output(const int alpha, const int m, const vec *y, const int step, vec *out,
                               const int out_step) {
  if (alpha == 4) {
    const vec sum = v_add(y[step], y[2 * step]), difference = v_sub(y[step], y[2 * step]);
    out[0] = v_add(y[0], sum);
    if (m == 2) {
      out[out_step] = v_add(difference, y[3 * step]);
      return;
    }
    out[out_step] = difference;
    out[2 * out_step] = v_add(sum, y[3 * step]);
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

/* G g: the taps of one axis, `step` apart, to alpha weights, `out_step` apart; taps is 3, 4 or 5, of 4 points 2 or 3.
 */
FC_INLINE void winograd_weight(const int alpha, const int taps, const vec *g, const int step, vec *out,
                               const int out_step) {
  const vec second = taps >= 3 ? g[2 * step] : v_zero();
  const vec odd = taps >= 4 ? g[3 * step] : v_zero(), top = taps == 5 ? g[4 * step] : v_zero();
  out[0] = g[0];
  out[(alpha - 1) * out_step] = g[(taps - 1) * step];
  if (alpha == 4) {
    const vec half = v_set1((real)0.5), even = taps == 2 ? g[0] : v_add(g[0], second);
    out[out_step] = v_mul(half, v_add(even, g[step]));
    out[2 * out_step] = v_mul(half, v_sub(even, g[step]));
    return;
  }
  /* at x: g0 + x^2 (g2 + x^2 g4) +- x (g1 + x^2 g3), over the products of differences -3/2 and 6 */
  const vec near_even = v_fma(v_set1((real)0.5), v_fma(v_set1((real)0.5), top, second), g[0]);
  const vec near_odd = v_mul(v_set1(HALF_ROOT2), v_fma(v_set1((real)0.5), odd, g[step]));
  const vec wide_even = v_fma(v_set1(2), v_fma(v_set1(2), top, second), g[0]);
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
 * added up before they are transformed back: parts are to the product what input channels are.
 *
 * A 4x4 kernel of stride 2 is four of 2x2, each over the input's pixels of one phase (every second row and column), by
 * F(3, 2): phases are parts, those of a vector of channels side by side. Backward each gives another phase of the
 * input's gradient, of the same tiles: there phases are to the product what output channels are. */
typedef struct {
  int alpha_y, alpha_x, m_y, m_x; /* 0 points where there is no such form */
  int taps, parts, phases;        /* of the phases, forward or backward, the other is 1 */
  int stride;
} fc_winograd_form;

enum { PHASES = 4 };

static fc_winograd_form winograd_form(const fc_conv2d *c, int m, int backward) {
  const fc_window *w = &c->window;
  const int dense = w->dilation_y == 1 && w->dilation_x == 1;
  const int plain = w->stride_y == 1 && w->stride_x == 1 && (dense || w->padding == FC_ZEROS);
  if (plain && w->kh == w->kw && ((w->kh == 3 && (m == 2 || m == 4)) || (w->kh == 5 && m == 2))) {
    const int taps = (int)w->kh, alpha = m + taps - 1;
    return (fc_winograd_form){alpha, alpha, m, m, taps, 1, 1, 1};
  }
  if (dense && w->padding == FC_ZEROS && w->stride_y == 2 && w->stride_x == 2 && w->kh == 4 && w->kw == 4 && m == 3)
    return (fc_winograd_form){4, 4, 3, 3, 2, backward ? 1 : PHASES, backward ? PHASES : 1, 2};
  const ptrdiff_t length = max_size(w->kh, w->kw);
  if (plain && min_size(w->kh, w->kw) == 1 && length >= 3 && length <= LONGEST_LINE && (m == 3 || m == 4)) {
    const int taps = MOST_ALPHA + 1 - m, parts = (int)ceil_div(length, taps), down = w->kw == 1;
    return (fc_winograd_form){
        down ? MOST_ALPHA : 1, down ? 1 : MOST_ALPHA, down ? m : 1, down ? 1 : m, taps, parts, 1, 1};
  }
  return (fc_winograd_form){0};
}

/* Plain weights, seen as (group, column, channel summed over, tap), and where they go. */
typedef struct {
  const real *weight;
  real *packed;
  fc_winograd_form form;
  int taps, flip;
  ptrdiff_t columns, depth, panels, column_step, depth_step, group_step;
} fc_winograd_pack;

/* Elements from one plane of a packed panel to the next: a cache line more than there are, so that planes are spread
 * over the cache's sets. */
FC_INLINE ptrdiff_t winograd_pitch(ptrdiff_t depth, ptrdiff_t width) { return depth * width + LINE; }

/* Planes of all phases. */
FC_INLINE int winograd_planes(const fc_winograd_form *f) { return f->phases * f->alpha_y * f->alpha_x; }

/* Elements before the panel that begins at `column`. */
static ptrdiff_t winograd_panel(const fc_winograd_form *f, ptrdiff_t depth, ptrdiff_t column) {
  return winograd_planes(f) * (column / FC_PANEL) * winograd_pitch(depth, FC_PANEL);
}

/* All elements of a group. */
static ptrdiff_t winograd_group(const fc_winograd_form *f, ptrdiff_t depth, ptrdiff_t columns) {
  const ptrdiff_t last = (ceil_div(columns, FC_PANEL) - 1) * FC_PANEL;
  return winograd_panel(f, depth, last) + winograd_planes(f) * winograd_pitch(depth, panel_width(columns, last));
}

/* Taps y, x < `taps` of those at g[y * row + x * stride]. */
FC_INLINE void winograd_pack_vector(const int alpha, const int taps, const int stride, const real *g, const int row,
                                    real *to, ptrdiff_t plane) {
  vec tap[25], half[MOST_PLANES], u[MOST_PLANES];
  FC_UNROLL(25)
  for (int i = 0; i < taps * taps; i++) tap[i] = v_load(g + (i / taps * row + i % taps * stride) * VL);
  FC_UNROLL(5)
  for (int x = 0; x < taps; x++) winograd_weight(alpha, taps, tap + x, taps, half + x, taps);
  FC_UNROLL(6)
  for (int y = 0; y < alpha; y++) winograd_weight(alpha, taps, half + y * taps, 1, u + y * alpha, 1);
  FC_UNROLL(36)
  for (int i = 0; i < alpha * alpha; i++) v_store(to + i * plane, u[i]);
}

/* Parts of a line's taps, `part_step` apart in the packed weights; taps beyond the last are zero. */
FC_INLINE void winograd_pack_line(const int taps, int parts, const real *g, real *to, ptrdiff_t plane,
                                  ptrdiff_t part_step) {
  for (int part = 0; part < parts; part++, to += part_step, g += taps * VL) {
    vec tap[4], u[MOST_ALPHA];
    FC_UNROLL(4)
    for (int i = 0; i < taps; i++) tap[i] = v_load(g + i * VL);
    winograd_weight(MOST_ALPHA, taps, tap, 1, u, 1);
    FC_UNROLL(6)
    for (int i = 0; i < MOST_ALPHA; i++) v_store(to + i * plane, u[i]);
  }
}

/* Where among all parts' channels, side by side by the vector, channel c of the first part is; the others follow a
 * vector, or what there is of the last, apart. */
FC_INLINE ptrdiff_t winograd_part_row(ptrdiff_t c) { return c / VL * PHASES * VL + c % VL; }

/* A 4x4 kernel's phases, `next` apart; one of a flipped kernel has the taps of the opposite one. */
FC_INLINE void winograd_pack_phases(const real *g, int flip, real *to, ptrdiff_t plane, ptrdiff_t next) {
  for (int phase = 0; phase < PHASES; phase++) {
    const int first = flip ? PHASES - 1 - phase : phase;
    winograd_pack_vector(4, 2, 2, g + (first / 2 * 4 + first % 2) * VL, 8, to + phase * next, plane);
  }
}

/* Transforms channels first <= d < last of the panel that begins at `column`: to[phase][plane][part][channel][column],
 * planes `pitch` apart. */
static __attribute__((noinline)) void winograd_pack_panel(const fc_winograd_pack *p, ptrdiff_t group, ptrdiff_t column,
                                                          ptrdiff_t first, ptrdiff_t last, real *to, ptrdiff_t pitch) {
  const fc_winograd_form *f = &p->form;
  const ptrdiff_t width = panel_width(p->columns, column), columns = min_size(FC_PANEL, p->columns - column);
  const fc_transposition lanes = transposition();
  /* Channels of the same filter lie side by side: several are turned at once, with whole vectors read. */
  const int lined = f->alpha_y != f->alpha_x, taps = p->taps, span = lined ? f->taps * f->parts : taps;
  const ptrdiff_t most = p->depth_step != taps ? 1 : max_size(1, TURNED / span);
  real g[TURNED * VL] = {0};
  ptrdiff_t source[VL], target[TURNED];
  for (int i = 0; i < VL; i++) source[i] = i * p->column_step;
  for (ptrdiff_t i = 0; i < most * taps; i++) /* lines have zeros up to a whole number of parts */
    target[i] = (i / taps * span + (p->flip ? taps - 1 - i % taps : i % taps)) * VL;
  const real *from = p->weight + group * p->group_step + column * p->column_step + first * p->depth_step;
  for (ptrdiff_t d = first, here; d < last; d += here, from += here * p->depth_step) {
    here = min_size(most, last - d);
    for (ptrdiff_t n = 0; n < width; n += VL) {
      const real *corner = from + n * p->column_step;
      for (ptrdiff_t ahead = 0; ahead < here * taps; ahead += LINE) FC_UNROLL(16)
      for (int i = 0; i < VL; i++)
        __builtin_prefetch(corner + source[i] + max_size(PACK_AHEAD, most) * p->depth_step + ahead);
      transpose(&lanes, corner, source, min_size(VL, columns - n), taps * here, g, target, 1);
      for (ptrdiff_t i = 0; i < here; i++) {
        const real *tap = g + i * span * VL;
        const ptrdiff_t at = d + i - first;
        real *packed = to + at * width + n;
        if (lined && f->taps == 3)
          winograd_pack_line(3, f->parts, tap, packed, pitch, (last - first) * width);
        else if (lined)
          winograd_pack_line(4, f->parts, tap, packed, pitch, (last - first) * width);
        else if (f->phases > 1)
          winograd_pack_phases(tap, p->flip, packed, pitch, f->alpha_y * f->alpha_x * pitch);
        else if (f->stride == 2)
          winograd_pack_phases(tap, p->flip, to + winograd_part_row(at) * width + n, pitch,
                               min_size(VL, last - first - at / VL * VL) * width);
        else if (f->alpha_y == 4)
          winograd_pack_vector(4, 3, 1, tap, 3, packed, pitch);
        else if (f->taps == 3)
          winograd_pack_vector(6, 3, 1, tap, 3, packed, pitch);
        else
          winograd_pack_vector(6, 5, 1, tap, 5, packed, pitch);
      }
    }
  }
}

static void winograd_pack_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_winograd_pack *p = context;
  const ptrdiff_t group = piece / p->panels, column = piece % p->panels * FC_PANEL, depth = p->depth * p->form.parts;
  real *to = p->packed + group * winograd_group(&p->form, depth, p->columns) + winograd_panel(&p->form, depth, column);
  winograd_pack_panel(p, group, column, 0, p->depth, to, winograd_pitch(depth, panel_width(p->columns, column)));
}

static int kernel_winograd_packed_size(const fc_conv2d *c, int m, int backward, ptrdiff_t *size) {
  const fc_winograd_form f = winograd_form(c, m, backward);
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups;
  *size = f.alpha_y == 0 ? 0 : c->groups * winograd_group(&f, (backward ? out : in) * f.parts, backward ? in : out);
  return FC_OK;
}

static fc_winograd_pack winograd_plain(const fc_conv2d *c, int m, int backward, const real *weight) {
  const ptrdiff_t in = c->window.channels / c->groups, out = c->out_channels / c->groups,
                  taps = c->window.kh * c->window.kw;
  return (fc_winograd_pack){.weight = weight,
                            .form = winograd_form(c, m, backward),
                            .taps = (int)taps,
                            .flip = backward,
                            .columns = backward ? in : out,
                            .depth = backward ? out : in,
                            .panels = ceil_div(backward ? in : out, FC_PANEL),
                            .column_step = backward ? taps : in * taps,
                            .depth_step = backward ? in * taps : taps,
                            .group_step = out * in * taps};
}

static int kernel_winograd_pack(const fc_conv2d *c, int m, int backward, const void *weight, void *packed) {
  fc_winograd_pack p = winograd_plain(c, m, backward, weight);
  p.packed = packed;
  const double work = (double)p.columns * p.depth * c->groups * p.form.alpha_y * p.form.alpha_x * p.form.parts * 8;
  return fc_parallel(c->groups * p.panels, work, winograd_pack_piece, &p);
}
