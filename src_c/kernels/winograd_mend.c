/* The tiles of Winograd's in which something is not finite, computed again directly. */

/* What the direct product of a broken tile reads: pixels of the whole image where the convolution is strided. */
static fc_thinned winograd_mend_input(const fc_winograd *p, ptrdiff_t tile, fc_thinned in) {
  if (p->form.parts == 1 || p->form.stride == 1) return in;
  const ptrdiff_t image = tile / p->tiles_x / p->tiles_y;
  const fc_image whole = {(real *)p->in.data + image * p->in.image, 0, p->in.row, p->in.pixel};
  return (fc_thinned){whole, p->in_h, p->in_w, 2 * in.y + (p->first_y & 1), 2 * in.x + (p->first_x & 1)};
}

/* Computes a phase of the broken tiles again, one small direct product each, with `pack`'s weights. */
static int winograd_mend_phase(const fc_winograd *p, fc_pack *pack, int phase) {
  const ptrdiff_t group_weights = packed_group(p->out_channels, pack->taps_y * pack->taps_x * p->in_channels);
  const int stride = p->form.parts > 1 ? p->form.stride : 1;
  int status = run_pack(pack, p->groups);
  for (ptrdiff_t i = 0; i < p->groups * p->tiles && status == FC_OK; i++) {
    if (!p->broken[i]) continue;
    const ptrdiff_t group = i / p->tiles, tile = i % p->tiles;
    const fc_winograd_place at = winograd_place(p, tile, phase);
    const fc_thinned in = winograd_mend_input(p, tile, at.in);
    fc_image out = at.out;
    out.data = (real *)out.data + group * p->out_channels;
    fc_product product = {.in = winograd_channels(p, in.image, group),
                          .out = out,
                          .batch = 1,
                          .groups = 1,
                          .in_h = in.h,
                          .in_w = in.w,
                          .in_channels = p->in_channels,
                          .out_h = min_size(p->form.m_y, at.rows) - at.top,
                          .out_w = min_size(p->form.m_x, at.columns) - at.left,
                          .out_channels = p->out_channels,
                          .taps_y = pack->taps_y,
                          .taps_x = pack->taps_x,
                          .first_y = in.y + at.top,
                          .first_x = in.x + at.left,
                          .step_y = 1,
                          .step_x = 1,
                          .stride_y = stride,
                          .stride_x = stride,
                          .packed = pack->packed + group * group_weights,
                          .bias = p->bias ? p->bias + group * p->out_channels : NULL,
                          .add = added(p->add, &p->out, out.data),
                          .clamp = p->clamp,
                          .low = p->low,
                          .high = p->high,
                          .padding = p->padding};
    status = run_product(&product);
  }
  return status;
}

static int winograd_mend(const fc_winograd *p, const fc_conv2d *c, int backward, const real *weight) {
  if (!memchr(p->broken, 1, (size_t)(p->groups * p->tiles))) return FC_OK;
  if (p->add == p->out.data) return FC_NOT_FINITE;
  const ptrdiff_t group_weights = packed_group(p->out_channels, c->window.kh * c->window.kw * p->in_channels);
  real *packed = fc_scratch_acquire(1, (size_t)(p->groups * group_weights) * sizeof(real));
  if (!packed) return FC_NO_MEMORY;
  int status = FC_OK;
  for (int phase = 0; phase < p->form.phases && status == FC_OK; phase++) {
    fc_pack pack = whole_pack(c, backward, weight, packed);
    if (p->form.phases > 1) { /* every second tap */
      pack.taps_y = pack.taps_x = p->form.taps;
      pack.first_y = 2 + phase / 2, pack.first_x = 2 + phase % 2;
      pack.every_y = pack.every_x = -2;
    }
    status = winograd_mend_phase(p, &pack, phase);
  }
  fc_scratch_release(packed);
  return status;
}
