/* Images from any strides to channels last, and from channels last to planes.
 *
 * An image whose pixels are adjacent in each channel is a matrix to transpose, block by block in registers; one of few
 * channels fills no block, and its channels' vectors are woven into those of pixels. */

enum { LAYOUT_PIECE = 1 << 15, LAYOUT_CHANNELS = 16, WOVEN_CHANNELS = 4 };

typedef struct {
  const real *x;
  ptrdiff_t stride[4]; /* of n, c, a run and a pixel, in elements */
  ptrdiff_t channels, pixels;
  ptrdiff_t run, runs, together; /* pixels of a run, runs of an image and of a piece; the last run may be shorter */
  fc_transposition transposition;
  permutation woven[WOVEN_CHANNELS][WOVEN_CHANNELS - 1]; /* what vector j takes of channels 1, 2, 3 */
  real *out;
} fc_layout;

/* to[c * to_pitch + r] = from[r * from_pitch + c] */
static void transpose_matrix(const fc_transposition *t, const real *from, ptrdiff_t from_pitch, ptrdiff_t rows,
                             ptrdiff_t columns, real *to, ptrdiff_t to_pitch) {
  ptrdiff_t source[VL], target[VL];
  for (int i = 0; i < VL; i++) source[i] = i * from_pitch, target[i] = i * to_pitch;
  for (ptrdiff_t c = 0; c < columns; c += VL)
    for (ptrdiff_t r = 0; r < rows; r += VL)
      transpose(t, from + r * from_pitch + c, source, min_size(VL, rows - r), min_size(VL, columns - c),
                to + c * to_pitch + r, target, 0);
}

static void plan_weave(fc_layout *p) {
  for (ptrdiff_t j = 0; j < p->channels; j++)
    for (ptrdiff_t c = 1; c < p->channels; c++) {
      uint8_t index[VL];
      for (int lane = 0; lane < VL; lane++) {
        const ptrdiff_t channel = (j * VL + lane) % p->channels, pixel = (j * VL + lane) / p->channels;
        index[lane] = (uint8_t)(channel == c ? VL + pixel : channel < c && c == 1 ? pixel : lane);
      }
      p->woven[j][c - 1] = v_permutation(index);
    }
}

FC_INLINE void weave(const fc_layout *p, const int channels, const real *from, ptrdiff_t pixels, real *to) {
  for (ptrdiff_t x = 0; x < pixels; x += VL) {
    const ptrdiff_t here = min_size(VL, pixels - x);
    vec row[WOVEN_CHANNELS];
    FC_UNROLL(4)
    for (int c = 0; c < channels; c++) row[c] = v_load_n(from + c * p->stride[1] + x, here);
    FC_UNROLL(4)
    for (int j = 0; j < channels; j++) {
      vec pixel = row[0];
      FC_UNROLL(3)
      for (int c = 1; c < channels; c++) pixel = v_permute(pixel, row[c], p->woven[j][c - 1]);
      const ptrdiff_t left = here * channels - j * VL;
      if (left > 0) v_store_n(to + x * channels + j * VL, pixel, min_size(VL, left));
    }
  }
}

static void layout_any(const fc_layout *p, const real *from, ptrdiff_t pixels, real *out) {
  const ptrdiff_t cs = p->stride[1], xs = p->stride[3];
  for (ptrdiff_t c = 0; c < p->channels; c += LAYOUT_CHANNELS) { /* so many streams are read side by side */
    const ptrdiff_t here = min_size(LAYOUT_CHANNELS, p->channels - c);
    for (ptrdiff_t x = 0; x < pixels; x++) {
      real *to = out + x * p->channels + c;
      for (ptrdiff_t i = 0; i < here; i++) to[i] = from[(c + i) * cs + x * xs];
    }
  }
}

static void layout_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_layout *p = context;
  const ptrdiff_t bands = ceil_div(p->runs, p->together), n = piece / bands, first = piece % bands * p->together;
  const ptrdiff_t last = min_size(p->runs, first + p->together);
  for (ptrdiff_t i = first; i < last; i++) {
    const real *from = p->x + n * p->stride[0] + i * p->stride[2];
    const ptrdiff_t pixels = min_size(p->run, p->pixels - i * p->run);
    real *out = p->out + (n * p->pixels + i * p->run) * p->channels;
    if (p->stride[3] != 1)
      layout_any(p, from, pixels, out);
    else if (p->channels == 2)
      weave(p, 2, from, pixels, out);
    else if (p->channels == 3)
      weave(p, 3, from, pixels, out);
    else if (p->channels == 4)
      weave(p, 4, from, pixels, out);
    else
      for (ptrdiff_t x = 0; x < pixels; x += VL) /* all channels of some pixels: whole lines are written */
        transpose_matrix(&p->transposition, from + x, p->stride[1], p->channels, min_size(VL, pixels - x),
                         out + x * p->channels, p->channels);
  }
}

static void planes_piece(void *context, ptrdiff_t piece, int worker) {
  (void)worker;
  const fc_layout *p = context;
  const ptrdiff_t n = piece / p->runs, first = piece % p->runs * p->run;
  transpose_matrix(&p->transposition, p->x + (n * p->pixels + first) * p->channels, p->channels,
                   min_size(p->run, p->pixels - first), p->channels, p->out + n * p->channels * p->pixels + first,
                   p->pixels);
}

/* Cuts images without gaps into runs of whole vectors, one a piece. */
static void cut_runs(fc_layout *p) {
  p->run = min_size(p->pixels, max_size(1, LAYOUT_PIECE / (p->channels * VL)) * VL);
  p->runs = ceil_div(p->pixels, p->run);
  p->stride[2] = p->run, p->together = 1;
}

static int kernel_to_channels_last(const void *x, const ptrdiff_t *stride, const ptrdiff_t *shape, void *out) {
  fc_layout p = {.x = x,
                 .stride = {stride[0], stride[1], stride[2], stride[3]},
                 .channels = shape[1],
                 .pixels = shape[2] * shape[3],
                 .run = shape[3],
                 .runs = shape[2],
                 .out = out};
  const double elements = (double)shape[0] * shape[1] * shape[2] * shape[3];
  if (elements == 0) return FC_OK;
  if (shape[3] == 1) p.run = shape[2], p.runs = 1, p.stride[3] = stride[2];
  if (p.stride[3] == 1 && (p.runs == 1 || p.stride[2] == p.run))
    cut_runs(&p);
  else
    p.together = max_size(1, min_size(p.runs, LAYOUT_PIECE / (p.run * p.channels)));
  if (p.channels > 1 && p.channels <= WOVEN_CHANNELS)
    plan_weave(&p);
  else
    p.transposition = transposition();
  return fc_parallel(shape[0] * ceil_div(p.runs, p.together), elements, layout_piece, &p);
}

static int kernel_to_planes(const void *x, ptrdiff_t batch, ptrdiff_t channels, ptrdiff_t pixels, void *out) {
  fc_layout p = {.x = x, .channels = channels, .pixels = pixels, .transposition = transposition(), .out = out};
  const double elements = (double)batch * channels * pixels;
  if (elements == 0) return FC_OK;
  cut_runs(&p);
  return fc_parallel(batch * p.runs, elements, planes_piece, &p);
}
