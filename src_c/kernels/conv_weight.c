/* Convolution weights: packing them for the micro-kernel, their gradient and the bias's. */

/* --- packing ----------------------------------------------------------------------------------------------------- */

/* One panel of packed weights: `width` columns (output channels forward, input channels backward) side by side, for
 * every product in the order in which the tiles walk them. */
typedef struct {
  const real *weight; /* (out channel, channel of the group, ky, kx) */
  real *packed;
  ptrdiff_t columns, panels, depth; /* columns and channels summed over, of one group */
  ptrdiff_t column_step, depth_step, group_step, group_weights;
  ptrdiff_t taps_y, taps_x, first_y, first_x, every_y, every_x,
      kw; /* ky = first_y + t * every_y, every may be negative */
  int depthwise;
  ptrdiff_t pixels, stride_x; /* pixels side by side in a vector, and the taps between their windows */
} fc_pack;

static void pack_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_pack *p = context;
  const ptrdiff_t group = piece / p->panels, column = piece % p->panels * FC_PANEL;
  const ptrdiff_t width = panel_width(p->columns * p->pixels, column),
                  columns = min_size(FC_PANEL, p->columns - column);
  const ptrdiff_t span = p->taps_x + (p->pixels - 1) * p->stride_x;
  const real *from = p->weight + group * p->group_step + column * p->column_step;
  real *to = p->packed + group * p->group_weights + column * p->taps_y * span * p->depth;
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
  if (p->depthwise) { /* [tap y][tap x][channel] */
    p->group_weights = p->taps_y * p->taps_x;
    for (ptrdiff_t ty = 0; ty < p->taps_y; ty++)
      for (ptrdiff_t tx = 0; tx < p->taps_x; tx++) {
        const ptrdiff_t tap = (p->first_y + ty * p->every_y) * p->kw + p->first_x + tx * p->every_x;
        for (ptrdiff_t c = 0; c < groups; c++)
          p->packed[(ty * p->taps_x + tx) * groups + c] = p->weight[c * p->group_step + tap];
      }
    return FC_OK;
  }
  p->panels = ceil_div(p->columns, FC_PANEL);
  p->group_weights =
      packed_group(p->columns * p->pixels, p->taps_y * (p->taps_x + (p->pixels - 1) * p->stride_x) * p->depth);
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
  if (is_depthwise(c)) {
    *size = c->groups * w->kh * w->kw;
    return FC_OK;
  }
  if (backward && is_narrow(c)) {
    *size = c->out_channels * narrow_pitch(c);
    return FC_OK;
  }
  const ptrdiff_t pixels = pack_pixels(c, backward), stride = backward ? 1 : w->stride_x;
  *size = c->groups * packed_group(columns * pixels, w->kh * (w->kw + (pixels - 1) * stride) * depth);
  return FC_OK;
}

static int kernel_conv2d_pack(const fc_conv2d *c, int backward, const void *weight, void *packed) {
  const fc_window *w = &c->window;
  if (backward && is_narrow(c)) {
    narrow_pack(c, weight, packed);
    return FC_OK;
  }
  const ptrdiff_t in = w->channels / c->groups, out = c->out_channels / c->groups, taps = w->kh * w->kw;
  fc_pack p = {.weight = weight,
               .packed = packed,
               .kw = w->kw,
               .group_step = out * in * taps,
               .depthwise = is_depthwise(c),
               .pixels = pack_pixels(c, backward),
               .stride_x = backward ? 1 : w->stride_x};
  if (!backward) {
    p.columns = out, p.depth = in, p.column_step = in * taps, p.depth_step = taps;
    p.taps_y = w->kh, p.taps_x = w->kw, p.every_y = 1, p.every_x = 1;
    return run_pack(&p, c->groups);
  }
  p.columns = in, p.depth = out, p.column_step = taps, p.depth_step = in * taps;
  for (ptrdiff_t ry = 0; ry < w->stride_y && ry < w->h; ry++)
    for (ptrdiff_t rx = 0; rx < w->stride_x && rx < w->w; rx++) {
      const fc_phase fy = phase_of(ry, w->h, w->kh, w->stride_y, w->pad_y, w->dilation_y);
      const fc_phase fx = phase_of(rx, w->w, w->kw, w->stride_x, w->pad_x, w->dilation_x);
      if (fy.count == 0 || fx.count == 0) continue;
      p.taps_y = fy.count, p.taps_x = fx.count;
      p.first_y = fy.first + (fy.count - 1) * fy.every, p.first_x = fx.first + (fx.count - 1) * fx.every;
      p.every_y = -fy.every, p.every_x = -fx.every;
      const int status = run_pack(&p, c->groups);
      if (status != FC_OK) return status;
      p.packed += c->groups * p.group_weights;
    }
  return FC_OK;
}

/* --- weight gradient --------------------------------------------------------------------------------------------- */

/* grad_w[(ky, kx, i)][o] is the product of the shifted input, seen column-wise (one row of A is one channel under one
 * tap, k runs over pixels), with the output gradient. A piece owns a panel of output channels, a range of rows and a
 * chunk of the bands; chunks, if any, are summed in order at the end.
 *
 * With many channels a tile stays within one tap, and only the pixels that the tap finds inside the image are visited:
 * nothing is copied. With few, tiles run across taps, over a copy of the band with the zeros around it. */
enum { WEIGHT_PIXELS = 192 }; /* of a band: a panel of the gradient beside the input's lines in the first-level cache */

typedef struct {
  fc_product band; /* the input side: how bands are cut and copied */
  fc_image grad;
  ptrdiff_t rows, row_ranges, chunks, bands;
  int by_taps;
  ptrdiff_t pixels; /* side by side in a vector of the gradient, see pixels_a_vector */
  real *sums;       /* [chunk][group][row][padded columns as panels] */
  ptrdiff_t group_sums;
  real *grad_weight;
} fc_weight_job;

static void pack_grad(const fc_weight_job *job, real *to, const real *from, ptrdiff_t rows, ptrdiff_t columns,
                      ptrdiff_t channels, ptrdiff_t width) {
  for (ptrdiff_t i = 0; i < rows; i++)
    for (ptrdiff_t j = 0; j < columns; j++, to += width) {
      const real *pixel = from + i * job->grad.row + j * job->grad.pixel;
      for (ptrdiff_t n = 0; n < width; n += VL)
        v_store(to + n, v_load_n(pixel + n, max_size(0, min_size(VL, channels - n))));
    }
}

/* Rows begin .. end of the product, tap by tap, over the band of outputs y0 .. y1, x0 .. x1. */
static void weight_taps(const fc_weight_job *job, fc_tile tile, const real *in, ptrdiff_t begin, ptrdiff_t end,
                        ptrdiff_t y0, ptrdiff_t y1, ptrdiff_t x0, ptrdiff_t x1, ptrdiff_t *a_row, ptrdiff_t *c_row,
                        ptrdiff_t *segment) {
  const fc_product *p = &job->band;
  const ptrdiff_t width = tile.b_step, columns = x1 - x0;
  const real *packed = tile.b;
  real *sums = tile.c;
  for (ptrdiff_t m = 0; m < min_size(p->in_channels, end - begin); m++) a_row[m] = m, c_row[m] = m * width;
  for (ptrdiff_t at = begin; at < end;) {
    const ptrdiff_t tap = at / p->in_channels, channel = at % p->in_channels;
    const ptrdiff_t here = min_size(end - at, p->in_channels - channel);
    const ptrdiff_t offset_y = p->first_y + tap / p->taps_x * p->step_y,
                    offset_x = p->first_x + tap % p->taps_x * p->step_x;
    ptrdiff_t first_y = y0, last_y = y1, first_x = x0, last_x = x1;
    inside(&first_y, &last_y, offset_y, p->stride_y, p->in_h);
    inside(&first_x, &last_x, offset_x, p->stride_x, p->in_w);
    tile.segments = first_x < last_x ? max_size(0, last_y - first_y) : 0;
    tile.length = last_x - first_x;
    tile.c = sums + (at - begin) * width;
    if (tile.segments) {
      for (ptrdiff_t i = 0; i < tile.segments; i++) segment[i] = i * p->stride_y * p->in.row;
      tile.a = in + (first_y * p->stride_y + offset_y) * p->in.row + (first_x * p->stride_x + offset_x) * p->in.pixel +
               channel;
      tile.b = packed + ((first_y - y0) * columns + first_x - x0) * width;
      tile.b_skip = (columns - tile.length) * width;
    }
    if (tile.segments || !tile.accumulate) run_tiles(&tile, here, a_row, c_row);
    at += here;
  }
}

static void weight_piece(void *context, ptrdiff_t piece, int worker) {
  const fc_weight_job *job = context;
  const fc_product *p = &job->band;
  const ptrdiff_t range = piece % job->row_ranges, panel = piece / job->row_ranges % p->panels;
  const ptrdiff_t chunk = piece / job->row_ranges / p->panels % job->chunks;
  const ptrdiff_t group = piece / job->row_ranges / p->panels / job->chunks;
  const ptrdiff_t column = panel * FC_PANEL, width = panel_width(p->out_channels, column);
  const ptrdiff_t channels = min_size(FC_PANEL, p->out_channels - column);
  const ptrdiff_t begin = job->rows * range / job->row_ranges, end = job->rows * (range + 1) / job->row_ranges;

  char *scratch = fc_scratch_part(p->scratch, worker);
  const size_t table = round64((size_t)(end - begin + 1) * sizeof(ptrdiff_t));
  ptrdiff_t *a_row = (ptrdiff_t *)scratch, *c_row = (ptrdiff_t *)(scratch + table),
            *segment = (ptrdiff_t *)(scratch + 2 * table);
  real *packed = (real *)(scratch + 2 * table + round64((size_t)p->rows * sizeof(ptrdiff_t)));
  real *copy = packed + p->rows * p->columns * FC_PANEL;
  real *sums = job->sums + (chunk * p->groups + group) * job->group_sums + column * job->rows + begin * width;

  fc_tile tile = {.b = packed, .b_step = width, .c = sums, .columns = width};
  const ptrdiff_t first_band = job->bands * chunk / job->chunks, last_band = job->bands * (chunk + 1) / job->chunks;
  for (ptrdiff_t index = first_band; index < last_band && !fc_stopping(); index++) {
    const ptrdiff_t x = index % p->bands_x * p->columns, y = index / p->bands_x % p->bands_y * p->rows;
    const ptrdiff_t image = index / p->bands_x / p->bands_y;
    const ptrdiff_t rows = min_size(p->rows, p->out_h - y), columns = min_size(p->columns, p->out_w - x);
    if (rows <= 0 || columns <= 0) continue;
    const real *in = (const real *)p->in.data + image * p->in.image + group * p->in_channels;
    const real *grad = (const real *)job->grad.data + image * job->grad.image + y * job->grad.row +
                       x * job->grad.pixel + group * p->out_channels + column;
    pack_grad(job, packed, grad, rows, columns, channels, width);
    if (job->by_taps) {
      tile.segment = segment;
      tile.a_step = p->stride_x * p->in.pixel;
      weight_taps(job, tile, in, begin, end, y, y + rows, x, x + columns, a_row, c_row, segment);
      tile.accumulate = 1;
      continue;
    }
    const fc_band band = open_band(p, in, y, x, rows, columns, copy, 1);
    if (index == first_band) {
      ptrdiff_t at = begin;
      for (ptrdiff_t m = 0; at < end; at++, m++) {
        const ptrdiff_t tap = at / p->in_channels;
        a_row[m] = tap / p->taps_x * band.tap_y + tap % p->taps_x * band.tap_x + at % p->in_channels;
        c_row[m] = m * width;
      }
      for (ptrdiff_t i = 0; i < p->rows; i++) segment[i] = i * band.row;
    }
    tile.a = band.base;
    tile.a_step = band.pixel;
    tile.segment = segment;
    tile.segments = rows;
    tile.length = columns;
    run_tiles(&tile, end - begin, a_row, c_row);
    tile.accumulate = 1;
  }
  if (first_band == last_band) memset(sums, 0, (size_t)((end - begin) * width) * sizeof(real));
}

/* Adds the chunks in order and transposes to (out channel, channel, ky, kx). A piece is a block of channels, so few
 * that their sums stay in the first-level cache while one output channel after the other is taken out of them. */
static ptrdiff_t unpack_block(const fc_product *p) { return max_size(1, 256 / (p->taps_y * p->taps_x)); }

static void unpack_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_weight_job *job = context;
  const fc_product *p = &job->band;
  const ptrdiff_t block = unpack_block(p), blocks = ceil_div(p->in_channels, block);
  const ptrdiff_t first = piece % blocks * block, last = min_size(p->in_channels, first + block);
  const ptrdiff_t panel = piece / blocks % p->panels, group = piece / blocks / p->panels;
  const ptrdiff_t column = panel * FC_PANEL, width = panel_width(p->out_channels, column);
  const ptrdiff_t stride = p->stride_x / job->pixels, kw = p->taps_x - (job->pixels - 1) * stride;
  const ptrdiff_t taps = p->taps_y * kw, channels = p->out_channels / job->pixels;
  const real *sums = job->sums + group * job->group_sums + column * job->rows;
  const ptrdiff_t end = min_size(channels, column + FC_PANEL), parts = job->pixels * job->chunks;
  const ptrdiff_t next_pixel = stride * p->in_channels * width + channels, next_chunk = p->groups * job->group_sums;
  for (ptrdiff_t channel = column; channel < end; channel++) {
    real *to = job->grad_weight + ((group * channels + channel) * p->in_channels + first) * taps;
    for (ptrdiff_t i = first; i < last; i++)
      for (ptrdiff_t ky = 0; ky < p->taps_y; ky++) {
        const real *sum = sums + (ky * p->taps_x * p->in_channels + i) * width + channel - column;
        for (ptrdiff_t kx = 0; kx < kw; kx++, sum += p->in_channels * width) {
          real total = *sum;
          for (ptrdiff_t part = 1; part < parts; part++)
            total += sum[part / job->chunks * next_pixel + part % job->chunks * next_chunk];
          *to++ = total;
        }
      }
  }
}

static int kernel_conv2d_grad_weight(const fc_conv2d *c, fc_image x, fc_image grad, void *grad_weight) {
  const fc_window *w = &c->window;
  fc_weight_job job = {.grad = grad,
                       .grad_weight = grad_weight,
                       .band = {.in = x,
                                .batch = w->batch,
                                .groups = c->groups,
                                .in_h = w->h,
                                .in_w = w->w,
                                .in_channels = w->channels / c->groups,
                                .out_h = w->out_h,
                                .out_w = w->out_w,
                                .out_channels = c->out_channels / c->groups,
                                .taps_y = w->kh,
                                .taps_x = w->kw,
                                .first_y = -w->pad_y,
                                .first_x = -w->pad_x,
                                .step_y = w->dilation_y,
                                .step_x = w->dilation_x,
                                .stride_y = w->stride_y,
                                .stride_x = w->stride_x}};
  fc_product *p = &job.band;
  if (is_depthwise(c)) return depthwise_grad_weight(p, grad, grad_weight);
  job.by_taps = p->in_channels >= FC_MR;
  const int dense = !job.by_taps && grad.pixel == c->out_channels;
  job.pixels = dense ? pixels_a_vector(c->out_channels, c->groups, w->dilation_x, w->out_w) : 1;
  if (job.pixels > 1) {
    widen(p, job.pixels, NULL);
    job.grad.pixel *= job.pixels;
  }
  job.rows = p->taps_y * p->taps_x * p->in_channels;
  if (w->batch == 0 || w->out_h <= 0 || w->out_w <= 0) {
    memset(grad_weight, 0, (size_t)(c->out_channels * w->kh * w->kw * p->in_channels) * sizeof(real));
    return FC_OK;
  }
  p->panels = ceil_div(p->out_channels, FC_PANEL);
  plan_bands(p, WEIGHT_PIXELS, BAND_BYTES);
  if (job.by_taps) p->copied = 0;
  job.bands = p->batch * p->bands_y * p->bands_x;

  /* Enough pieces: by panels and groups, else by ranges of rows, else by chunks of the bands with sums of their own. */
  const double work = (double)w->batch * w->out_h * w->out_w * c->out_channels * (double)job.rows;
  const ptrdiff_t pieces = pieces_for(work);
  const ptrdiff_t owned = p->groups * p->panels;
  job.row_ranges = owned >= pieces ? 1 : max_size(1, min_size(ceil_div(pieces, owned), job.rows / (4 * FC_MR)));
  job.chunks = owned * job.row_ranges >= pieces ? 1 : min_size(ceil_div(pieces, owned * job.row_ranges), job.bands);

  job.group_sums = packed_group(p->out_channels, job.rows);
  const size_t sums = (size_t)(job.chunks * p->groups * job.group_sums) * sizeof(real);
  const size_t tables = 2 * round64((size_t)(job.rows / job.row_ranges + 2) * sizeof(ptrdiff_t)) +
                        round64((size_t)p->rows * sizeof(ptrdiff_t));
  const size_t packed = (size_t)(p->rows * p->columns * FC_PANEL) * sizeof(real);
  job.sums = fc_scratch_acquire(1, sums);
  if (!job.sums) return FC_NO_MEMORY;
  int status = FC_NO_MEMORY;
  p->scratch = fc_scratch_acquire(fc_workers(), tables + packed + (size_t)copy_bytes(p));
  if (p->scratch) {
    status = fc_parallel(owned * job.row_ranges * job.chunks, work, weight_piece, &job);
    if (status == FC_OK)
      status = fc_parallel(p->groups * p->panels * ceil_div(p->in_channels, unpack_block(p)),
                           (double)job.chunks * c->out_channels * job.rows, unpack_piece, &job);
    fc_scratch_release(p->scratch);
  }
  fc_scratch_release(job.sums);
  return status;
}

/* --- bias gradient ----------------------------------------------------------------------------------------------- */

enum { BIAS_CHUNKS = 16 };

typedef struct {
  fc_image grad;
  ptrdiff_t batch, h, w, channels, rows, chunks;
  real *sums; /* [chunk][channel] */
} fc_bias_job;

static void bias_piece(void *context, ptrdiff_t chunk, int worker) {
  (void)worker;
  const fc_bias_job *job = context;
  const ptrdiff_t first = job->rows * chunk / job->chunks, last = job->rows * (chunk + 1) / job->chunks;
  for (ptrdiff_t c = 0; c < job->channels; c += VL) {
    const ptrdiff_t n = min_size(VL, job->channels - c);
    vec sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    for (ptrdiff_t row = first; row < last; row++) {
      const real *pixel =
          (const real *)job->grad.data + row / job->h * job->grad.image + row % job->h * job->grad.row + c;
      ptrdiff_t x = 0;
      for (; x + 4 <= job->w; x += 4, pixel += 4 * job->grad.pixel)
        for (int i = 0; i < 4; i++) sum[i] = v_add(sum[i], v_load_n(pixel + i * job->grad.pixel, n));
      for (; x < job->w; x++, pixel += job->grad.pixel) sum[0] = v_add(sum[0], v_load_n(pixel, n));
    }
    v_store_n(job->sums + chunk * job->channels + c, v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])), n);
  }
}

/* Sums over images and pixels, in a fixed number of chunks that are added in order. */
static int kernel_channel_sum(const fc_window *w, fc_image grad, void *sums) {
  fc_bias_job job = {.grad = grad,
                     .batch = w->batch,
                     .h = w->out_h,
                     .w = w->out_w,
                     .channels = w->channels,
                     .rows = w->batch * w->out_h,
                     .chunks = BIAS_CHUNKS};
  real *total = sums;
  job.sums = fc_scratch_acquire(1, (size_t)(BIAS_CHUNKS * job.channels) * sizeof(real));
  if (!job.sums) return FC_NO_MEMORY;
  const int status = fc_parallel(job.chunks, (double)job.rows * job.w * job.channels, bias_piece, &job);
  for (ptrdiff_t c = 0; status == FC_OK && c < job.channels; c++) {
    real sum = 0;
    for (ptrdiff_t chunk = 0; chunk < job.chunks; chunk++) sum += job.sums[chunk * job.channels + c];
    total[c] = sum;
  }
  fc_scratch_release(job.sums);
  return status;
}
