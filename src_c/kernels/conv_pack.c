/* Convolution weights, packed for the micro-kernel. */

enum {
  PACK_TAPS = 64,
  PACK_AHEAD = 8 /* channels from the weights that are packed to those that are asked for */
};

/* Where a tap of the kernel goes if blocks of weights are transposed: it is number `index` of the `count` of a product
 * whose packed weights begin at element `base`, `group` elements apart for each group; nowhere if there are none. */
typedef struct {
  ptrdiff_t base, group, count, index;
} fc_tap_place;

/* One panel of packed weights: `width` columns (output channels forward, input channels backward) side by side, for
 * every product in the order in which the tiles walk them. */
typedef struct {
  const real *weight; /* (out channel, channel of the group, ky, kx) */
  real *packed;
  ptrdiff_t columns, panels, depth; /* columns and channels summed over, of one group */
  ptrdiff_t column_step, depth_step, group_step, group_weights;
  ptrdiff_t taps_y, taps_x, first_y, first_x, every_y, every_x,
      kw; /* ky = first_y + t * every_y, every may be negative */
  int in_lanes;
  ptrdiff_t pixels, stride_x; /* pixels side by side in a vector, and the taps between their windows */
  ptrdiff_t taps;             /* of the whole kernel */
  fc_tap_place place[PACK_TAPS];
} fc_pack;

/* Whether blocks are transposed, the taps of all phases at once. */
static int pack_transposes(const fc_pack *p) {
  return !p->in_lanes && p->pixels == 1 && p->column_step > 1 && p->taps <= PACK_TAPS;
}

/* Gives the taps of the product their places, from element `base` on. */
static void place_taps(fc_pack *p, ptrdiff_t base) {
  const ptrdiff_t count = p->taps_y * p->taps_x;
  for (ptrdiff_t i = 0; i < count; i++)
    p->place[(p->first_y + i / p->taps_x * p->every_y) * p->kw + p->first_x + i % p->taps_x * p->every_x] =
        (fc_tap_place){base, p->group_weights, count, i};
}

/* Taps, and where they are the same the channels of the kernel, lie side by side in memory: blocks of them are turned
 * round, a vector of columns at a time. */
static void transpose_panel(const fc_pack *p, ptrdiff_t group, ptrdiff_t column, ptrdiff_t width) {
  const ptrdiff_t beside = p->depth_step == p->taps ? max_size(1, PACK_TAPS / p->taps) : 1; /* channels in a block */
  const ptrdiff_t columns = min_size(FC_PANEL, p->columns - column);
  const real *from = p->weight + group * p->group_step + column * p->column_step;
  const fc_transposition lanes = transposition();
  ptrdiff_t source[VL], place[PACK_TAPS], target[PACK_TAPS];
  for (ptrdiff_t tap = 0; tap < p->taps; tap++) {
    const fc_tap_place *at = &p->place[tap];
    place[tap] = at->count ? at->base + group * at->group + (column * at->count + at->index * width) * p->depth : -1;
  }
  for (int i = 0; i < VL; i++) source[i] = i * p->column_step;
  for (ptrdiff_t d = 0; d < p->depth; d += beside, from += beside * p->depth_step) {
    const ptrdiff_t here = min_size(beside, p->depth - d);
    for (ptrdiff_t i = 0, c = 0; i < here; i++)
      for (ptrdiff_t tap = 0; tap < p->taps; tap++, c++) target[c] = place[tap] < 0 ? -1 : place[tap] + (d + i) * width;
    for (ptrdiff_t n = 0; n < width; n += VL) {
      FC_UNROLL(16)
      for (int i = 0; i < VL; i++)
        __builtin_prefetch(from + n * p->column_step + source[i] + PACK_AHEAD * p->depth_step);
      transpose(&lanes, from + n * p->column_step, source, max_size(0, min_size(VL, columns - n)), here * p->taps,
                p->packed + n, target, 1);
    }
  }
}

/* Columns lie side by side already. */
static void copy_panel(const fc_pack *p, const real *from, real *to, ptrdiff_t columns, ptrdiff_t width) {
  for (ptrdiff_t d = 0; d < p->depth; d++, from += p->depth_step, to += width)
    for (ptrdiff_t n = 0; n < width; n += VL) {
      __builtin_prefetch(from + n + PACK_AHEAD * p->depth_step);
      v_store(to + n, v_load_n(from + n, min_size(VL, columns - n)));
    }
}

static void pack_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_pack *p = context;
  const ptrdiff_t group = piece / p->panels, column = piece % p->panels * FC_PANEL;
  const ptrdiff_t width = panel_width(p->columns * p->pixels, column),
                  columns = min_size(FC_PANEL, p->columns - column);
  const ptrdiff_t span = p->taps_x + (p->pixels - 1) * p->stride_x;
  const real *from = p->weight + group * p->group_step + column * p->column_step;
  real *to = p->packed + group * p->group_weights + column * p->taps_y * span * p->depth;
  if (pack_transposes(p)) {
    transpose_panel(p, group, column, width);
    return;
  }
  if (p->pixels == 1 && p->column_step == 1 && p->taps == 1) {
    copy_panel(p, from, to, columns, width);
    return;
  }
  for (ptrdiff_t d = 0; d < p->depth; d++) /* outermost: reads of neighbouring taps share cache lines */
    for (ptrdiff_t ty = 0; ty < p->taps_y; ty++)
      for (ptrdiff_t at = 0; at < span; at++) {
        real *target = to + ((ty * span + at) * p->depth + d) * width;
        ptrdiff_t n = 0;
        for (ptrdiff_t pixel = 0; pixel < p->pixels; pixel++) {
          const ptrdiff_t tx = at - pixel * p->stride_x, end = n + columns;
          const real *source =
              from + d * p->depth_step + (p->first_y + ty * p->every_y) * p->kw + p->first_x + tx * p->every_x;
          if (tx < 0 || tx >= p->taps_x)
            for (; n < end; n++) target[n] = 0;
          else
            for (; n < end; n++, source += p->column_step) target[n] = *source;
        }
        for (; n < width; n++) target[n] = 0;
      }
}

static int run_pack(fc_pack *p, ptrdiff_t groups) {
  if (p->in_lanes) { /* [tap y][tap x][depth][group][column] */
    real *to = p->packed;
    for (ptrdiff_t ty = 0; ty < p->taps_y; ty++)
      for (ptrdiff_t tx = 0; tx < p->taps_x; tx++)
        for (ptrdiff_t d = 0; d < p->depth; d++)
          for (ptrdiff_t group = 0; group < groups; group++) {
            const real *from = p->weight + group * p->group_step + d * p->depth_step +
                               (p->first_y + ty * p->every_y) * p->kw + p->first_x + tx * p->every_x;
            for (ptrdiff_t c = 0; c < p->columns; c++) *to++ = from[c * p->column_step];
          }
    p->group_weights = p->taps_y * p->taps_x * p->depth * p->columns;
    return FC_OK;
  }
  p->group_weights =
      packed_group(p->columns * p->pixels, p->taps_y * (p->taps_x + (p->pixels - 1) * p->stride_x) * p->depth);
  if (pack_transposes(p)) place_taps(p, 0);
  return fc_parallel(groups * p->panels, (double)groups * p->group_weights, pack_piece, p);
}

/* pixels_a_vector of the forward product or of the input gradient. */
static ptrdiff_t pack_pixels(const fc_conv2d *c, int backward) {
  const fc_window *w = &c->window;
  if (!backward) return pixels_a_vector(c->out_channels, c->groups, w->dilation_x, w->out_w);
  return w->stride_x == 1 ? pixels_a_vector(w->channels, c->groups, w->dilation_x, w->w) : 1;
}

/* Elements of packed weights, for the forward product or for the input gradient. */
static int kernel_conv2d_packed_size(const fc_conv2d *c, int backward, ptrdiff_t *size) {
  const fc_window *w = &c->window;
  const ptrdiff_t in = w->channels / c->groups, out = c->out_channels / c->groups;
  const ptrdiff_t columns = backward ? in : out, depth = backward ? out : in;
  if (in_lanes(c, backward)) {
    *size = c->groups * w->kh * w->kw * in * out;
    return FC_OK;
  }
  if (backward && is_narrow(c)) {
    *size = narrow_size(c);
    return FC_OK;
  }
  if (!backward && is_planar(c)) {
    *size = w->kh * w->kw * in * out;
    return FC_OK;
  }
  const ptrdiff_t pixels = pack_pixels(c, backward), stride = backward ? 1 : w->stride_x;
  *size = c->groups * packed_group(columns * pixels, w->kh * (w->kw + (pixels - 1) * stride) * depth);
  return FC_OK;
}

/* All taps in the order of a product of stride 1, each pixel in a vector of its own. */
static fc_pack whole_pack(const fc_conv2d *c, int backward, const void *weight, void *packed) {
  const fc_window *w = &c->window;
  const ptrdiff_t in = w->channels / c->groups, out = c->out_channels / c->groups, taps = w->kh * w->kw;
  return (fc_pack){.weight = weight,
                   .packed = packed,
                   .columns = backward ? in : out,
                   .depth = backward ? out : in,
                   .panels = ceil_div(backward ? in : out, FC_PANEL),
                   .column_step = backward ? taps : in * taps,
                   .depth_step = backward ? in * taps : taps,
                   .group_step = out * in * taps,
                   .taps_y = w->kh,
                   .taps_x = w->kw,
                   .first_y = backward ? w->kh - 1 : 0,
                   .first_x = backward ? w->kw - 1 : 0,
                   .every_y = backward ? -1 : 1,
                   .every_x = backward ? -1 : 1,
                   .kw = w->kw,
                   .taps = taps,
                   .pixels = 1};
}

static int kernel_conv2d_pack(const fc_conv2d *c, int backward, const void *weight, void *packed) {
  const fc_window *w = &c->window;
  if (backward && is_narrow(c)) {
    narrow_pack(c, weight, packed);
    return FC_OK;
  }
  if (!backward && is_planar(c)) {
    planar_pack(c, weight, packed);
    return FC_OK;
  }
  fc_pack p = whole_pack(c, backward, weight, packed);
  p.in_lanes = in_lanes(c, backward);
  p.pixels = pack_pixels(c, backward);
  p.stride_x = backward ? 1 : w->stride_x;
  if (!backward) return run_pack(&p, c->groups);
  ptrdiff_t base = 0;
  for (ptrdiff_t ry = 0; ry < w->stride_y && ry < w->h; ry++)
    for (ptrdiff_t rx = 0; rx < w->stride_x && rx < w->w; rx++) {
      const fc_phase fy = phase_of(ry, w->h, w->kh, w->stride_y, w->pad_y, w->dilation_y);
      const fc_phase fx = phase_of(rx, w->w, w->kw, w->stride_x, w->pad_x, w->dilation_x);
      if (fy.count == 0 || fx.count == 0) continue;
      p.taps_y = fy.count, p.taps_x = fx.count;
      p.first_y = fy.first + (fy.count - 1) * fy.every, p.first_x = fx.first + (fx.count - 1) * fx.every;
      p.every_y = -fy.every, p.every_x = -fx.every;
      if (pack_transposes(&p)) { /* all phases at once, when their taps have places */
        p.group_weights = packed_group(p.columns, fy.count * fx.count * p.depth);
        place_taps(&p, base);
        base += c->groups * p.group_weights;
        continue;
      }
      const int status = run_pack(&p, c->groups);
      if (status != FC_OK) return status;
      p.packed += c->groups * p.group_weights;
    }
  return base ? fc_parallel(c->groups * p.panels, (double)base, pack_piece, &p) : FC_OK;
}
