/* Winograd's minimal filtering for stride 1, and for the phases of 4x4 kernels of stride 2: an output tile of m x m
 * pixels costs alpha * alpha multiplications a channel pair, alpha = m + r - 1, in place of m * m * r * r.
 *
 * Lavin and Gray, arXiv:1509.09308. The points of alpha = 6 are 0, +-1/sqrt(2), +-sqrt(2) and infinity: their rounding
 * error is about half of that of the usual 0, +-1, +-2 (measured; see docs/architecture.md). A block of tiles is
 * transformed, multiplied plane by plane with one panel of transformed weights after the other, and transformed back
 * with the epilogue, all in a worker's scratch memory. A tile in which something is not finite is computed again
 * directly, so that an Inf, a NaN or an overflow of the transform reaches no pixel that it would not reach there. */

/* Finds a block's tile number t, tile `tile` of the batch. */
static void winograd_find_tile(const fc_winograd *p, fc_winograd_state *state, ptrdiff_t t, ptrdiff_t tile) {
  for (int phase = 0; phase < p->form.phases; phase++)
    state->place[t * p->form.phases + phase] = winograd_place(p, tile, phase);
}

/* Channels first <= c < last of a tile, or of a strided convolution's part of one. */
static void winograd_transform_any(const fc_winograd *p, const real *const *pixel, int part, ptrdiff_t first,
                                   ptrdiff_t last, real *to) {
  if (p->form.alpha_y == 6) {
    winograd_transform_tile(6, pixel, first, last, VL, to, VL, p->plane);
  } else if (p->form.parts == 1) {
    winograd_transform_tile(4, pixel, first, last, VL, to, VL, p->plane);
  } else { /* `first` is a whole vector's */
    const ptrdiff_t whole = (last - first) / VL * VL, rest = last - first - whole;
    winograd_transform_tile(4, pixel, first, first + whole, VL, to + part * VL, PHASES * VL, p->plane);
    if (rest)
      winograd_transform_tile(4, pixel, first + whole, last, VL, to + PHASES * whole + part * rest, VL, p->plane);
  }
}

static void winograd_load_block(const fc_winograd *p, fc_winograd_state *state, ptrdiff_t group, ptrdiff_t first,
                                ptrdiff_t count) {
  const fc_winograd_form *f = &p->form;
  for (ptrdiff_t t = 0; t < count; t++) {
    winograd_find_tile(p, state, t, first + t);
    fc_thinned in = state->place[t * f->phases].in;
    real *to = state->inputs + t * p->row;
    const real *pixel[MOST_PLANES];
    for (int part = 0; part < f->parts; part++) {
      if (part > 0 && f->stride == 2)
        in = winograd_place(p, first + t, part).in;
      else if (part > 0)
        in.y += f->alpha_x == 1 ? f->taps : 0, in.x += f->alpha_y == 1 ? f->taps : 0;
      tile_pixels(f->alpha_y, f->alpha_x, winograd_channels(p, in.image, group), in.y, in.x, in.h, in.w, p->padding,
                  state->zeros, pixel);
      if (f->alpha_y != f->alpha_x)
        winograd_transform_line(p, pixel, to + part * p->in_channels);
      else
        winograd_transform_any(p, pixel, part, 0, p->in_channels, to);
    }
  }
}

/* Transforms the block's products of panels begin .. end back. */
static void winograd_store_block(const fc_winograd *p, const fc_winograd_state *state, ptrdiff_t group, ptrdiff_t first,
                                 ptrdiff_t count, ptrdiff_t begin, ptrdiff_t end) {
  const ptrdiff_t phases = p->form.phases, phase_products = winograd_planes(&p->form) / phases * p->result_plane;
  for (ptrdiff_t panel = begin; panel < end; panel++) {
    const ptrdiff_t column = panel * FC_PANEL, channels = min_size(FC_PANEL, p->out_channels - column);
    const ptrdiff_t width = panel_width(p->out_channels, column);
    for (ptrdiff_t t = 0; t < count; t++)
      for (ptrdiff_t phase = 0; phase < phases; phase++) {
        const real *products = state->products + ((panel - begin) * phases + phase) * phase_products + t * width;
        if (winograd_store_any(p, products, &state->place[t * phases + phase], group * p->out_channels + column,
                               channels))
          __atomic_store_n(&p->broken[group * p->tiles + first + t], 1, __ATOMIC_RELAXED);
      }
  }
}

/* What a piece computes: tiles first .. first + count of a group, by panels begin .. end. */
typedef struct {
  ptrdiff_t group, block, first, count, begin, end; /* `block` is counted through all groups */
} fc_winograd_part;

static void winograd_part(const fc_winograd *p, ptrdiff_t piece, fc_winograd_part *part) {
  const ptrdiff_t chunk = piece % p->chunks;
  part->block = piece / p->chunks;
  part->group = part->block / p->blocks;
  part->first = part->block % p->blocks * p->block;
  part->count = min_size(p->block, p->tiles - part->first);
  part->begin = chunk * p->panels_a_piece;
  part->end = min_size(p->panels, part->begin + p->panels_a_piece);
}

static void winograd_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_winograd *p = context;
  fc_winograd_part part;
  winograd_part(p, piece, &part);
  const ptrdiff_t group = part.group, first = part.first, count = part.count, begin = part.begin, end = part.end;
  const int planes = winograd_planes(&p->form), points = planes / p->form.phases;
  fc_winograd_state *state = fc_scratch_part(p->scratch, worker);
  if (state->block != part.block) winograd_load_block(p, state, group, first, count);
  state->block = part.block;

  const ptrdiff_t no_segment = 0;
  const real *weights = p->weights + group * winograd_group(&p->form, p->depth, p->out_channels);
  fc_tile tile = {.segment = &no_segment, .segments = 1, .length = p->depth, .a_step = 1, .a_next = p->row};
  /* A plane of inputs stays in the second-level cache while the panels pass; each weight is read once a block. */
  for (int point = 0; point < points && !fc_stopping(); point++)
    for (ptrdiff_t panel = begin; panel < end; panel++) {
      const ptrdiff_t column = panel * FC_PANEL, width = panel_width(p->out_channels, column);
      tile.columns = tile.b_step = tile.c_step = width;
      tile.a = state->inputs + point * p->plane;
      for (int plane = point; plane < planes; plane += points) { /* of each phase */
        tile.b = weights + winograd_panel(&p->form, p->depth, column) + plane * winograd_pitch(p->depth, width);
        tile.c = state->products + ((panel - begin) * planes + plane) * p->result_plane;
        run_tiles_even(&tile, 0, 0, count);
      }
    }
  winograd_store_block(p, state, group, first, count, begin, end);
}

/* Plain weights that are transformed next, and how many of their lines have been asked for. */
typedef struct {
  const real *from;
  ptrdiff_t rows, row_step, lines, asked;
} fc_winograd_next;

/* Of the panel that begins at `column`, channels first <= c < last; `lines` for each row, which begins anywhere. */
static fc_winograd_next winograd_next(const fc_winograd_pack *p, ptrdiff_t group, ptrdiff_t column, ptrdiff_t first,
                                      ptrdiff_t last) {
  const ptrdiff_t columns = min_size(FC_PANEL, p->columns - column), channels = last - first;
  const int by_column = p->depth_step < p->column_step;
  return (fc_winograd_next){p->weight + group * p->group_step + column * p->column_step + first * p->depth_step,
                            by_column ? columns : channels, by_column ? p->column_step : p->depth_step,
                            ((by_column ? channels : columns) * p->taps - 1) / LINE + 2, 0};
}

/* Asks for the lines up to a share of done / all of them. */
static void winograd_ask(fc_winograd_next *next, ptrdiff_t done, ptrdiff_t all) {
  const ptrdiff_t until = next->rows * next->lines * done / all;
  ptrdiff_t row = next->asked / next->lines, line = next->asked % next->lines;
  for (; next->asked < until; next->asked++, line++) {
    if (line == next->lines) line = 0, row++;
    __builtin_prefetch(next->from + row * next->row_step + line * LINE, 0, 2);
  }
}

/* The same for weights that come as they are, a slice of the channels at a time: a panel's slice is transformed,
 * multiplied with the block's and forgotten. Nothing as large as all transformed weights, four times the plain ones, is
 * ever written or read. */
static void winograd_slice_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_winograd *p = context;
  fc_winograd_part part;
  winograd_part(p, piece, &part);
  const ptrdiff_t group = part.group, first = part.first, count = part.count, begin = part.begin, end = part.end;
  const int alpha = p->form.alpha_y, points = alpha * alpha, parts = p->form.parts, planes = points * p->form.phases;
  fc_winograd_state *state = fc_scratch_part(p->scratch, worker);
  if (state->block != part.block)
    for (ptrdiff_t t = 0; t < count; t++) {
      winograd_find_tile(p, state, t, first + t);
      for (int part = 0; part < parts; part++) {
        const fc_thinned in = part ? winograd_place(p, first + t, part).in : state->place[t * p->form.phases].in;
        tile_pixels(alpha, alpha, winograd_channels(p, in.image, group), in.y, in.x, in.h, in.w, p->padding,
                    state->zeros, state->pixel + (t * parts + part) * points);
      }
    }
  state->block = part.block;

  const ptrdiff_t no_segment = 0;
  fc_tile tile = {.segment = &no_segment, .segments = 1, .a_step = 1, .a_next = p->row};
  for (ptrdiff_t c = 0, last; c < p->in_channels && !fc_stopping(); c = last) {
    last = min_size(p->in_channels, c + p->slice / parts);
    tile.length = (last - c) * parts;
    tile.resume = c > 0;
    for (ptrdiff_t t = 0; t < count; t++)
      for (int part = 0; part < parts; part++)
        winograd_transform_any(p, state->pixel + (t * parts + part) * points, part, c, last,
                               state->inputs + t * p->row);
    for (ptrdiff_t panel = begin; panel < end; panel++) {
      const ptrdiff_t column = panel * FC_PANEL, width = panel_width(p->out_channels, column);
      const ptrdiff_t pitch = winograd_pitch(tile.length, width);
      winograd_pack_panel(&p->plain, group, column, c, last, state->weights, pitch);
      tile.columns = tile.b_step = tile.c_step = width;
      const int turn = panel + 1 == end;
      const ptrdiff_t next_c = turn ? last : c;
      fc_winograd_next next = {0};
      if (next_c < p->in_channels)
        next = winograd_next(&p->plain, group, (turn ? begin : panel + 1) * FC_PANEL, next_c,
                             min_size(p->in_channels, next_c + p->slice / parts));
      for (int plane = 0; plane < planes; plane++) {
        if (next.rows) winograd_ask(&next, plane + 1, planes);
        tile.a = state->inputs + plane % points * p->plane;
        tile.b = state->weights + plane * pitch;
        tile.c = state->products + ((panel - begin) * planes + plane) * p->result_plane;
        run_tiles_even(&tile, 0, 0, count);
      }
    }
  }
  winograd_store_block(p, state, group, first, count, begin, end);
}

/* --- the convolution --------------------------------------------------------------------------------------------- */

enum {
  FLEETING_WEIGHTS = 16 << 20, /* more bytes of transformed weights are not kept, */
  FLEETING_FEW = 8 << 20,      /* nor are so many for */
  FLEETING_FEW_TILES = 28,     /* so few tiles, */
  FLEETING_ONCE = 3 << 19,     /* nor of weights that are used once for */
  FLEETING_ONCE_TILES = 128,   /* so many; */
  FLEETING_STRIDED = 4 << 20   /* of a stride more */
};

static int run_winograd(fc_winograd *p, const fc_conv2d *c, int backward, const real *weight) {
  if (p->batch == 0 || p->out_h <= 0 || p->out_w <= 0) return FC_OK;
  p->depth = p->in_channels * p->form.parts;
  p->images_y = min_size(min_size(p->in_step_y, p->out_step_y), p->out_h);
  p->images_x = min_size(min_size(p->in_step_x, p->out_step_x), p->out_w);
  p->tiles_y = ceil_div(ceil_div(p->out_h + p->odd_y, p->out_step_y), p->form.m_y);
  p->tiles_x = ceil_div(ceil_div(p->out_w + p->odd_x, p->out_step_x), p->form.m_x);
  p->tiles = p->batch * p->images_y * p->images_x * p->tiles_y * p->tiles_x;
  p->panels = ceil_div(p->out_channels, FC_PANEL);
  const double work = (double)p->groups * p->tiles * winograd_planes(&p->form) * p->depth * p->out_channels;
  winograd_plan(p, work);

  const int workers = fc_workers(), sliced = p->weights == NULL;
  p->broken = fc_scratch_acquire(1, (size_t)(p->groups * p->tiles));
  if (!p->broken) return FC_NO_MEMORY;
  memset(p->broken, 0, (size_t)(p->groups * p->tiles));
  int status = FC_NO_MEMORY;
  p->scratch = fc_scratch_acquire(workers, winograd_lay_out(p, NULL, NULL));
  if (p->scratch) {
    for (int i = 0; i < workers; i++) {
      char *part = fc_scratch_part(p->scratch, i);
      winograd_lay_out(p, part, (fc_winograd_state *)part);
    }
    status = fc_parallel(p->groups * p->blocks * p->chunks, work, sliced ? winograd_slice_piece : winograd_piece, p);
    fc_scratch_release(p->scratch);
    if (status == FC_OK) status = winograd_mend(p, c, backward, weight);
  }
  fc_scratch_release(p->broken);
  return status;
}

static int kernel_winograd_fleeting(const fc_conv2d *c, int m, int backward, int once, int *fleeting) {
  const fc_window *w = &c->window;
  const fc_winograd_form f = winograd_form(c, m, backward);
  *fleeting = 0;
  if (f.alpha_y == 0 || f.alpha_y != f.alpha_x) return FC_OK;
  const ptrdiff_t h = ceil_div(backward ? w->h : w->out_h, w->dilation_y * (backward ? w->stride_y : 1)),
                  width = ceil_div(backward ? w->w : w->out_w, w->dilation_x * (backward ? w->stride_x : 1));
  const ptrdiff_t tiles = w->batch * w->dilation_y * w->dilation_x * ceil_div(h, f.m_y) * ceil_div(width, f.m_x);
  ptrdiff_t bytes;
  kernel_winograd_packed_size(c, m, backward, &bytes);
  bytes *= (ptrdiff_t)sizeof(real);
  const int strided = f.stride > 1, few = tiles <= FLEETING_FEW_TILES && bytes > FLEETING_FEW && !strided;
  const int seldom = tiles <= FLEETING_ONCE_TILES && bytes > (strided ? FLEETING_STRIDED : FLEETING_ONCE);
  *fleeting = bytes > FLEETING_WEIGHTS || few || (once && seldom);
  return FC_OK;
}

/* What both directions have in common. */
static fc_winograd winograd_of(const fc_conv2d *c, int m, int backward, const void *weight, const void *packed,
                               const fc_epilogue *epilogue) {
  const fc_window *w = &c->window;
  const ptrdiff_t channels = w->channels / c->groups, out_channels = c->out_channels / c->groups;
  return (fc_winograd){.batch = w->batch,
                       .groups = c->groups,
                       .in_h = backward ? w->out_h : w->h,
                       .in_w = backward ? w->out_w : w->w,
                       .in_channels = backward ? out_channels : channels,
                       .out_h = backward ? w->h : w->out_h,
                       .out_w = backward ? w->w : w->out_w,
                       .out_channels = backward ? channels : out_channels,
                       .taps_y = w->kh,
                       .taps_x = w->kw,
                       .form = winograd_form(c, m, backward),
                       .weights = packed,
                       .plain = winograd_plain(c, m, backward, weight),
                       .bias = epilogue->bias,
                       .add = epilogue->add};
}

static int kernel_winograd(const fc_conv2d *c, int m, fc_image x, const void *weight, const void *packed,
                           const fc_epilogue *epilogue, fc_image out) {
  const fc_window *w = &c->window;
  fc_winograd p = winograd_of(c, m, 0, weight, packed, epilogue);
  p.in = x, p.out = out;
  p.first_y = -w->pad_y, p.first_x = -w->pad_x;
  p.in_step_y = w->dilation_y * w->stride_y, p.in_step_x = w->dilation_x * w->stride_x; /* one factor of each is 1 */
  p.out_step_y = w->dilation_y, p.out_step_x = w->dilation_x;
  p.clamp = epilogue->clamp;
  p.low = (real)epilogue->low, p.high = (real)epilogue->high;
  p.padding = w->padding;
  return run_winograd(&p, c, 0, weight);
}

/* Where backward the first output's first tap is. Of stride 2 a phase's output j is row 2 j + phase - pad, which taps
 * j - 1 and j reach; tiles begin with the first j that one of the phases has. */
static ptrdiff_t winograd_first(ptrdiff_t pad, ptrdiff_t kernel, ptrdiff_t dilation, ptrdiff_t stride) {
  return stride == 1 ? pad - (kernel - 1) * dilation : (pad - (pad & 1)) / 2 - 1;
}

/* The input's gradient is the convolution of the output's with flipped, transposed weights. */
static int kernel_winograd_grad_input(const fc_conv2d *c, int m, fc_image grad, const void *weight, const void *packed,
                                      const fc_epilogue *epilogue, fc_image grad_x) {
  const fc_window *w = &c->window;
  fc_winograd p = winograd_of(c, m, 1, weight, packed, epilogue);
  p.in = grad, p.out = grad_x;
  p.first_y = winograd_first(w->pad_y, w->kh, w->dilation_y, w->stride_y);
  p.first_x = winograd_first(w->pad_x, w->kw, w->dilation_x, w->stride_x);
  p.in_step_y = w->dilation_y, p.in_step_x = w->dilation_x;
  p.out_step_y = w->dilation_y * w->stride_y, p.out_step_x = w->dilation_x * w->stride_x;
  p.odd_y = w->stride_y > 1 ? w->pad_y & 1 : 0;
  p.odd_x = w->stride_x > 1 ? w->pad_x & 1 : 0;
  return run_winograd(&p, c, 1, weight);
}
