/* Every kernel as static functions, then this unit's table. The including unit has chosen an instruction set
 * (a simd header) and an element type (FC_DOUBLE). */
#include "../fastconv.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Unrolls the loop that follows, at most n rounds: arrays of vectors become registers only where it is gone. */
#define FC_PRAGMA(words) _Pragma(#words)
#if defined(__clang__)
#define FC_UNROLL(n) FC_PRAGMA(clang loop unroll(full))
#else
#define FC_UNROLL(n) FC_PRAGMA(GCC unroll n)
#endif

#include "activation.c"
#include "dropout.c"
#include "gemm_tile.c"
#include "gemm.c"
#include "transpose.c"
#include "layout.c"
#include "prelu.c"
#include "channels.c"
#include "conv_band.c"
#include "conv.c"
#include "depthwise_sweep.c"
#include "depthwise.c"
#include "depthwise_spread.c"
#include "depthwise_weight.c"
#include "conv_narrow.c"
#include "planar.c"
#include "conv_planar.c"
#include "conv_planar_weight.c"
#include "conv_entry.c"
#include "conv_pack.c"
#include "conv_weight.c"
#include "winograd_transform.c"
#include "winograd_tile.c"
#include "winograd_plan.c"
#include "winograd_mend.c"
#include "winograd.c"
#include "winograd_weight.c"
#include "conv_weight_entry.c"
#include "im2col.c"
#include "filter.c"
#include "fft.c"
#include "fft_filter.c"
#include "fft_pack.c"
#include "fft_conv.c"
#include "linear.c"
#include "conv_columns.c"
#include "warp.c"
#include "resample.c"
#include "softmax.c"
#include "loss.c"
#include "optim.c"
#include "pool.c"
#include "pool_grad.c"
#include "norm.c"
#include "response.c"
#include "rownorm.c"

#define FC_PASTE_(isa, type) fc_table_##isa##_##type
#define FC_PASTE(isa, type) FC_PASTE_(isa, type)
#define FC_STRING_(name) #name
#define FC_STRING(name) FC_STRING_(name)
#if FC_DOUBLE
#define FC_TABLE FC_PASTE(FC_ISA, f64)
#else
#define FC_TABLE FC_PASTE(FC_ISA, f32)
#endif

extern const fc_table FC_TABLE;
#define FC_ENTRY(name, arguments) .name = kernel_##name,
const fc_table FC_TABLE = {
    .isa = FC_STRING(FC_ISA), .element_size = sizeof(real), .vector_length = VL, FC_KERNELS(FC_ENTRY)};
#undef FC_ENTRY
