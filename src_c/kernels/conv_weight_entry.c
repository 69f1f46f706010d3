/* How the work of a weights' gradient is cut, and its entry. */

enum { WEIGHT_PIECES = 4 /* at least, where memory is short */ };

static ptrdiff_t units_of(const fc_weight_job *job) {
  return job->band.groups * ceil_div(job->band.panels, job->panels) * job->ranges;
}

/* A large input is read seldom: by few ranges of channels, and by as many panels at a time as leave pieces enough. */
static void plan_large(fc_weight_job *job, ptrdiff_t pieces) {
  const fc_product *p = &job->band;
  const double arrays = (double)p->batch * (p->in_h * p->in_w * p->in_channels + p->out_h * p->out_w * p->out_channels);
  const double weights = (double)p->in_channels * p->out_channels;
  const ptrdiff_t most = max_size(1, (ptrdiff_t)(arrays / SUMS_SHARE / weights));
  job->ranges = ceil_div(p->in_channels, NEAR_CHANNELS);
  job->chunks = min_size(min_size(most, job->bands), pieces);
  job->panels = min_size(NEAR_PANELS, p->panels);
  while (job->panels > 1 && units_of(job) * job->chunks < PIECES) job->panels = (job->panels + 1) / 2;
  job->chunks = min_size(job->chunks, ceil_div(pieces, units_of(job)));
}

/* Elements of a panel's sums, of one range. */
static ptrdiff_t weight_sums(const fc_weight_job *job) {
  const fc_product *p = &job->band;
  return p->taps_y * p->taps_x * ceil_div(p->in_channels, job->ranges) * panel_width(p->out_channels, 0);
}

/* A worker's bytes; `own` sums where chunks have none. */
static size_t weight_worker_bytes(const fc_weight_job *job, int own) {
  const fc_product *p = &job->band;
  const ptrdiff_t sums = own ? job->panels * weight_sums(job) : 0, packed = p->rows * p->columns * FC_PANEL;
  const ptrdiff_t copy = job->near ? p->rows * p->columns * job->near : copy_bytes(p) / (ptrdiff_t)sizeof(real);
  const ptrdiff_t space = job->winograd ? max_size(packed, weight_space_size(job)) : packed + copy;
  return weight_tables(job) + (size_t)(sums + space) * sizeof(real);
}

/* Bytes that the sums of all chunks and two workers' memory may take; bits must not depend on how many there are. */
static ptrdiff_t weight_room(const fc_weight_job *job) {
  const fc_product *p = &job->band;
  const double in = (double)p->batch * p->in_h * p->in_w, out = (double)p->batch * p->out_h * p->out_w;
  const double weights = (double)p->taps_y * p->taps_x * p->in_channels * p->out_channels;
  const double bytes = sizeof(real) * p->groups * (in * p->in_channels + out * p->out_channels + weights);
  return bytes < LARGE_ARRAYS ? PTRDIFF_MAX : (ptrdiff_t)(bytes / WORKING_SHARE);
}

/* Chunks for so many pieces, or, to find room, for a few at least. Returns the bytes that they take. */
static ptrdiff_t plan_chunks(fc_weight_job *job, ptrdiff_t pieces, ptrdiff_t room) {
  const fc_product *p = &job->band;
  const ptrdiff_t parts = p->groups * p->panels * job->ranges, fewest = ceil_div(WEIGHT_PIECES, units_of(job));
  for (job->chunks = min_size(ceil_div(pieces, units_of(job)), job->bands);; job->chunks--) {
    const int shared = job->chunks > 1;
    const size_t sums = shared ? (size_t)(job->chunks * parts * weight_sums(job)) * sizeof(real) : 0;
    const ptrdiff_t bytes = (ptrdiff_t)(sums + 2 * (weight_worker_bytes(job, !shared) + 64));
    if (bytes <= room || job->chunks <= fewest) return bytes;
  }
}

/* Enough pieces: by panels and groups, else by ranges of channels, else by chunks of the bands. */
static void plan_weight_pieces(fc_weight_job *job, double work, int single) {
  const fc_product *p = &job->band;
  const ptrdiff_t taps = p->taps_y * p->taps_x, widest = panel_width(p->out_channels, 0), owned = p->groups * p->panels;
  const ptrdiff_t pieces = job->winograd ? min_size(PIECES, pieces_for(work / 4)) : pieces_for(work);
  const ptrdiff_t fit = ceil_div(p->in_channels * taps * widest * (ptrdiff_t)sizeof(real), WEIGHT_SUMS);
  const ptrdiff_t room = weight_room(job);
  job->ranges = job->panels = 1;
  if (single) {
    plan_large(job, pieces);
  } else if (job->winograd) {
    for (int way = 0; way < WEIGHT_WAYS; way++) {
      weight_winograd_plan(job, way);
      if (plan_chunks(job, pieces, room) <= room) break;
    }
  } else {
    if (job->by_chunks && job->by_taps) /* the fewer ranges, the less is read twice */
      job->ranges = fit;
    else if (job->by_taps)
      job->ranges = max_size(1, min_size(max_size(ceil_div(pieces, owned), fit), p->in_channels / (2 * FC_MR)));
    plan_chunks(job, pieces, room);
  }
  job->units = units_of(job);
  job->most_sums = weight_sums(job);
}

static int kernel_conv2d_grad_weight(const fc_conv2d *c, int winograd, fc_image x, fc_image grad, void *grad_weight) {
  const fc_window *w = &c->window;
  fc_weight_job job = {.grad = grad, .grad_weight = grad_weight, .band = product_of(c, x)};
  fc_product *p = &job.band;
  p->padding = FC_ZEROS; /* x comes with any other padding around it */
  if (in_lanes(c, 0)) return depthwise_grad_weight(p, grad, grad_weight);
  job.by_taps = p->in_channels >= FC_MR;
  const int dense = !job.by_taps && grad.pixel == c->out_channels;
  job.pixels = dense ? pixels_a_vector(c->out_channels, c->groups, w->dilation_x, w->out_w) : 1;
  if (job.pixels > 1) {
    widen(p, job.pixels, NULL);
    job.grad.pixel *= job.pixels;
  }
  const ptrdiff_t products = p->taps_y * p->taps_x * p->in_channels;
  if (w->batch == 0 || w->out_h <= 0 || w->out_w <= 0) {
    memset(grad_weight, 0, (size_t)(c->out_channels * w->kh * w->kw * p->in_channels) * sizeof(real));
    return FC_OK;
  }
  if (is_planar(c)) return planar_grad_weight(c, x, grad, grad_weight);
  p->panels = ceil_div(p->out_channels, FC_PANEL);
  plan_bands(p, WEIGHT_PIXELS, BAND_BYTES);
  const int large = (double)p->batch * p->in_h * p->in_w * w->channels * sizeof(real) > FAR_INPUT;
  const int single = large && job.by_taps && !p->copied && products == p->in_channels;
  const ptrdiff_t reach = p->rows * p->columns * p->stride_x * x.pixel * (ptrdiff_t)sizeof(real);
  if (job.by_taps) p->copied = 0;
  job.winograd = winograd ? weight_by_winograd(c) : 0;
  job.by_chunks = large && !job.winograd;
  job.images_y = job.images_x = 1;
  if (job.winograd) { /* whole tiles */
    job.images_y = p->step_y, job.images_x = p->step_x;
    p->columns = ceil_div(p->out_w, job.images_x), p->bands_x = 1;
    p->rows = max_size(1, WEIGHT_PIXELS / p->columns / job.winograd) * job.winograd;
    p->bands_y = ceil_div(ceil_div(p->out_h, job.images_y), p->rows);
  }
  job.bands = p->batch * job.images_y * job.images_x * p->bands_y * p->bands_x;
  const double work = (double)w->batch * w->out_h * w->out_w * c->out_channels * (double)products;
  plan_weight_pieces(&job, work, single);
  if (single && reach >= FAR_APART)
    job.near = (ceil_div(ceil_div(p->in_channels, job.ranges), VL) | 1) * VL; /* spread over the cache's sets */

  const ptrdiff_t parts = p->groups * p->panels * job.ranges;
  if (job.chunks > 1) {
    job.sums = fc_scratch_acquire(1, (size_t)(job.chunks * parts * job.most_sums) * sizeof(real));
    if (!job.sums) return FC_NO_MEMORY;
  }
  int status = FC_NO_MEMORY;
  p->scratch = fc_scratch_acquire(fc_workers(), weight_worker_bytes(&job, !job.sums));
  if (p->scratch) {
    status = fc_parallel(job.units * job.chunks, work, weight_piece, &job);
    if (status == FC_OK && job.sums)
      status = fc_parallel(parts, (double)job.chunks * c->out_channels * products, unpack_piece, &job);
    fc_scratch_release(p->scratch);
  }
  if (job.sums) fc_scratch_release(job.sums);
  return status;
}
