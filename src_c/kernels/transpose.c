/* Transposition of a matrix whose rows may begin, and whose columns may go, anywhere. */

enum { TRANSPOSE_STAGES = VL >= 16 ? 4 : VL >= 8 ? 3 : VL >= 4 ? 2 : VL >= 2 ? 1 : 0 };

/* At each stage, the lanes that rows r and r + 2^stage of a block exchange. */
typedef struct {
  permutation low[TRANSPOSE_STAGES + 1], high[TRANSPOSE_STAGES + 1];
} fc_transposition;

static fc_transposition transposition(void) {
  fc_transposition t;
  memset(&t, 0, sizeof t);
  for (int stage = 0; stage < TRANSPOSE_STAGES; stage++) {
    const int distance = 1 << stage;
    uint8_t low[VL], high[VL];
    for (int lane = 0; lane < VL; lane++) {
      const int odd = lane & distance;
      low[lane] = (uint8_t)(odd ? VL + lane - distance : lane);
      high[lane] = (uint8_t)(odd ? VL + lane : lane + distance);
    }
    t.low[stage] = v_permutation(low);
    t.high[stage] = v_permutation(high);
  }
  return t;
}

/* Turns a block of VL vectors on its diagonal. */
FC_INLINE void transpose_block(const fc_transposition *t, vec row[VL]) {
  FC_UNROLL(4)
  for (int stage = 0; stage < TRANSPOSE_STAGES; stage++) FC_UNROLL(16)
  for (int r = 0; r < VL; r++)
    if (!(r & 1 << stage)) {
      const vec a = row[r], b = row[r + (1 << stage)];
      row[r] = v_permute(a, b, t->low[stage]);
      row[r + (1 << stage)] = v_permute(a, b, t->high[stage]);
    }
}

/* to[to_offset[c] + r] = from[from_offset[r] + c] for r < rows <= VL and c < columns. Columns of a negative offset are
 * left out. With `whole`, whole vectors are stored, zero from `rows` on. */
FC_INLINE void transpose(const fc_transposition *t, const real *from, const ptrdiff_t *from_offset, ptrdiff_t rows,
                         ptrdiff_t columns, real *to, const ptrdiff_t *to_offset, int whole) {
  for (ptrdiff_t first = 0; first < columns; first += VL) {
    const ptrdiff_t here = columns - first < VL ? columns - first : VL;
    vec row[VL];
    FC_UNROLL(16)
    for (int r = 0; r < VL; r++) row[r] = r < rows ? v_load_n(from + from_offset[r] + first, here) : v_zero();
    transpose_block(t, row);
    FC_UNROLL(16)
    for (int c = 0; c < VL; c++)
      if (c < here && to_offset[first + c] >= 0) v_store_n(to + to_offset[first + c], row[c], whole ? VL : rows);
  }
}
