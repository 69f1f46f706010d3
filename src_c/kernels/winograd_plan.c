/* How Winograd's tiles, channels and panels of columns are split into pieces of work, and the memory of a worker. */

enum {
  WINOGRAD_BYTES = 512 << 10,      /* of a block's transformed inputs: they stay in the second-level cache */
  WINOGRAD_PRODUCTS = 1 << 20,     /* bytes of a piece's products, where weights are transformed in passing, */
  WINOGRAD_PIECES = 4,             /* and pieces, at least, */
  LONGEST_SLICE = 64,              /* and channels at a time: from so many */
  SHORTEST_SLICE = 32,             /* to so many, */
  SLICE_STEP = 16,                 /* in such steps */
  LARGE_ARRAYS = 10 * 1000 * 1000, /* bytes of input, output and weights, */
  WORKING_SHARE = 10               /* whose tenth is what all workers' memory may be */
};

/* The scratch memory of a worker. */
typedef struct {
  ptrdiff_t block; /* group * blocks + the block that `inputs` holds */
  real *zeros, *inputs, *weights, *products;
  const real **pixel;       /* of the block's tiles, where channels are taken by slices */
  fc_winograd_place *place; /* of the block's tiles, [tile][phase] */
} fc_winograd_state;

/* Lays a worker's memory out from `at` on; returns how long it is. With `at` NULL that is all. */
static size_t winograd_lay_out(const fc_winograd *p, char *at, fc_winograd_state *state) {
  const fc_winograd_form *f = &p->form;
  const size_t points = (size_t)(f->alpha_y * f->alpha_x), planes = (size_t)winograd_planes(f), element = sizeof(real);
  const int sliced = p->weights == NULL;
  size_t length = round64(sizeof(fc_winograd_state));
  const size_t zeros = length, inputs = zeros + round64((size_t)(p->in_channels + VL) * element),
               products = inputs + round64(points * (size_t)p->plane * element),
               weights = products + round64(planes * (size_t)(p->panels_a_piece * p->result_plane) * element);
  const size_t pitch = sliced ? (size_t)winograd_pitch(p->slice, panel_width(p->out_channels, 0)) : 0,
               pixels = weights + round64(planes * pitch * element),
               places = pixels + (sliced ? round64((size_t)(p->block * f->parts) * points * sizeof(real *)) : 0);
  length = places + round64((size_t)(p->block * f->phases) * sizeof(fc_winograd_place));
  if (!at) return length;
  *state = (fc_winograd_state){.block = -1,
                               .zeros = (real *)(at + zeros),
                               .inputs = (real *)(at + inputs),
                               .products = (real *)(at + products),
                               .weights = (real *)(at + weights),
                               .pixel = (const real **)(at + pixels),
                               .place = (fc_winograd_place *)(at + places)};
  memset(state->zeros, 0, inputs - zeros);
  return length;
}

/* Bytes that each worker may take. */
static ptrdiff_t winograd_room(const fc_winograd *p) {
  const double channels_in = (double)p->in_channels * p->groups, channels_out = (double)p->out_channels * p->groups;
  const double bytes =
      sizeof(real) * (p->batch * p->in_h * p->in_w * channels_in + p->batch * p->out_h * p->out_w * channels_out +
                      p->taps_y * p->taps_x * p->in_channels * channels_out);
  const double others = p->groups * p->tiles + 256; /* bytes: the list of broken tiles, the heads of scratch blocks */
  return bytes < LARGE_ARRAYS ? PTRDIFF_MAX : (ptrdiff_t)((bytes / WORKING_SHARE - others) / fc_workers());
}

/* Splits the work into equal blocks of all tiles, if `fit` are no fewer, else of whole register tiles, and so that each
 * of `threads` has as many; and into slices. Returns how many panels' products there is room for. */
static ptrdiff_t winograd_split(fc_winograd *p, ptrdiff_t fit, ptrdiff_t threads, ptrdiff_t slice, ptrdiff_t room) {
  const ptrdiff_t most = p->tiles <= fit ? p->tiles : max_size(1, fit / FC_MR) * FC_MR;
  p->slice = min_size(slice, p->depth);
  p->blocks = min_size(p->tiles, ceil_div(ceil_div(p->tiles, most), threads) * threads);
  p->block = ceil_div(ceil_div(p->tiles, p->blocks), 2) * 2;
  p->blocks = ceil_div(p->tiles, p->block);

  p->row = p->slice <= 4 * LINE ? ceil_div(p->slice, LINE) * LINE : odd_lines(p->slice); /* few lines are near anyway */
  p->plane = odd_lines(p->block * p->row) + LINE * 2;
  p->result_plane = odd_lines(p->block * FC_PANEL);
  p->panels_a_piece = 0; /* what is left beside all else is for them */
  const ptrdiff_t left = room - (ptrdiff_t)winograd_lay_out(p, NULL, NULL);
  return left < 0 ? 0
                  : min_size(p->panels, left / (winograd_planes(&p->form) * p->result_plane * (ptrdiff_t)sizeof(real)));
}

/* With packed weights a block has as many tiles as keep its inputs in the second-level cache, or as there is room for
 * with the products of all panels; if there is none for a single register tile's, it has so many and a few panels. */
static ptrdiff_t winograd_plan_packed(fc_winograd *p, ptrdiff_t room, ptrdiff_t pieces) {
  const ptrdiff_t threads = min_size(pieces, fc_workers());
  ptrdiff_t fit = WINOGRAD_BYTES / (p->form.alpha_y * p->form.alpha_x * p->depth * (ptrdiff_t)sizeof(real)), panels;
  fit = min_size(WINOGRAD_TILES, fit);
  while ((panels = winograd_split(p, fit, threads, p->depth, room)) < p->panels && p->block > FC_MR) fit -= FC_MR;
  return panels;
}

/* Where weights are transformed in passing, once a block, and inputs once a piece, blocks, slices and pieces are what
 * costs least of what there is room for; the costs are to each other as they were measured. */
static ptrdiff_t winograd_plan_sliced(fc_winograd *p, ptrdiff_t room) {
  const double of_weights = 250, of_inputs = 3, of_sums = 54;
  ptrdiff_t best_fit = FC_MR, best_slice = max_size(SHORTEST_SLICE, SLICE_STEP * p->form.parts), best_panels = 1;
  double least = 0;
  for (ptrdiff_t fit = WINOGRAD_TILES; fit > 0; fit -= FC_MR)
    for (ptrdiff_t slice = LONGEST_SLICE; slice >= SHORTEST_SLICE; slice -= SLICE_STEP) {
      ptrdiff_t panels = winograd_split(p, fit, 1, slice, room);
      if (panels < 1 || slice % (SLICE_STEP * p->form.parts) != 0) continue;
      panels = min_size(panels, max_size(1, WINOGRAD_PRODUCTS / (winograd_planes(&p->form) * p->block * FC_PANEL *
                                                                 (ptrdiff_t)sizeof(real))));
      const double cost = of_weights / p->block + of_inputs / panels + of_sums / slice;
      if (least == 0 || cost < least) least = cost, best_fit = fit, best_slice = slice, best_panels = panels;
    }
  winograd_split(p, best_fit, 1, best_slice, room);
  return best_panels;
}

static void winograd_plan(fc_winograd *p, double work) {
  const int sliced = p->weights == NULL;
  const ptrdiff_t room = winograd_room(p);
  const ptrdiff_t pieces = sliced ? min_size(pieces_for(work), WINOGRAD_PIECES) : pieces_for(work);
  const ptrdiff_t panels = sliced ? winograd_plan_sliced(p, room) : winograd_plan_packed(p, room, pieces);
  const ptrdiff_t chunks = ceil_div(p->panels, max_size(1, panels));
  p->chunks = min_size(p->panels, max_size(ceil_div(pieces, p->blocks * p->groups), chunks));
  p->panels_a_piece = ceil_div(p->panels, p->chunks);
  p->chunks = ceil_div(p->panels, p->panels_a_piece);
}
