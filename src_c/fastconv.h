/* The only header the Python binding sees: every kernel's signature, stated once, the table type made
 * from that list, and the choice of a table.
 *
 * Arrays of the table's element type (float or double) are passed as void pointers, so that both element
 * types share one table type. Sizes are ptrdiff_t and already checked by the caller; every kernel
 * returns a status. */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <stddef.h>
#include <stdint.h>

#include "parallel.h"

/* A channels-last image batch inside some array: element (n, y, x, c) is
 * data[n * image + y * row + x * pixel + c]. Strides are counted in elements. */
typedef struct {
  void *data;
  ptrdiff_t image, row, pixel;
} fc_image;

/* What lies outside an image: zeros, or its own pixels mirrored at the edge pixel, the edge pixel, or those of the
 * other side. */
enum { FC_ZEROS, FC_REFLECT, FC_REPLICATE, FC_CIRCULAR };

/* A window sliding over an image (h, w) with `channels` channels: kernel size, stride, padding before,
 * dilation, and the output size they give, which says how much padding follows. */
typedef struct {
  ptrdiff_t batch, h, w, channels;
  ptrdiff_t kh, kw, out_h, out_w;
  ptrdiff_t stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
  int padding; /* FC_ZEROS ...; others are for the forward product */
} fc_window;

/* Max pooling keeps which tap (ky * kw + kx) won each window, one byte of that number a plane, the lowest first; a
 * plane has the outputs in the order (N, H, W, C). One plane is enough up to 256 taps, two up to 65536. */
static inline int fc_pool_planes(const fc_window *window) {
  int planes = 1;
  for (ptrdiff_t largest = (window->kh * window->kw - 1) >> 8; largest > 0; largest >>= 8) planes++;
  return planes;
}

/* A convolution: its window, the output channels and the groups. */
typedef struct {
  fc_window window;
  ptrdiff_t out_channels, groups;
} fc_conv2d;

/* What lies outside a plane: `fill`, the plane again, or its mirror image. */
enum { FC_FILL, FC_WRAP, FC_SYMM };
typedef struct {
  int kind;
  double fill;
} fc_boundary;

/* What happens to a finished output tile before it is stored: + bias[channel], + the element of `add`, an array of the
 * output's layout or the output itself, then clamp to [low, high] where `clamp` is set. A null pointer leaves its step
 * out. */
typedef struct {
  const void *bias;
  int clamp;
  double low, high;
  const void *add;
} fc_epilogue;

/* Activations, one element at a time, and what their parameters a, b and c mean. */
#define FC_ACTIVATIONS(X)                                             \
  X(relu)                                                             \
  X(sigmoid)                                                          \
  X(tanh)                                                             \
  X(scaled_tanh) /* a tanh(b x), c = 1 / a */                         \
  X(hardtanh)    /* between a and b */                                \
  X(hardsigmoid) /* (x + 3) / 6 between 0 and 1 */                    \
  X(leaky_relu)  /* a x below 0 */                                    \
  X(elu)         /* b x above 0, a b (e^(c x) - 1) below */           \
  X(softplus)    /* c log(1 + e^(a x)), x where a x > b; c = 1 / a */ \
  X(gelu)                                                             \
  X(gelu_tanh)                                                        \
  X(silu)                                                             \
  X(mish)                                                             \
  X(hardswish)
#define FC_NAME(name) FC_##name,
enum { FC_ACTIVATIONS(FC_NAME) };
#undef FC_NAME
typedef struct {
  int name;
  double a, b, c;
} fc_activation;

/* Batch, instance and group normalisation: `segments` matrices of `rows` pixels of `channels` channels, one after the
 * other, pixels so many elements apart. Segment and group of adjacent channels share a mean and a variance: batch norm
 * has one segment and a group for each channel, instance norm a segment for each image, group norm fewer groups. */
enum { FC_NORM_NARROW = 64 }; /* fewer channels are summed in another order where they leave no gaps */
typedef struct {
  ptrdiff_t segments, rows, channels, groups, x_pitch, grad_pitch;
  double eps;
} fc_norm;

/* Dropout keeps what draws a 32-bit number >= threshold, as scale * x + shift; what it drops becomes `dropped`. */
typedef struct {
  uint64_t key;
  uint32_t threshold;
  double scale, shift, dropped;
} fc_dropout;

/* A step of an optimiser; each rule reads what it has use for. */
typedef struct {
  double lr, weight_decay;
  double momentum;     /* share of the velocity that stays (sgd, rmsprop) */
  double fresh;        /* share of the gradient that enters the velocity (sgd) */
  double beta1, beta2; /* shares of the averages of g and of its square that stay */
  double shrink;       /* the parameter is multiplied by it first (adam) */
  double correction;   /* divides the root of the average square (adam) */
  double eps;
  int nesterov;
  int first; /* there is no velocity yet, it is written only (sgd) */
  int maximize;
} fc_update;

/* Local response normalisation of `rows` pixels: see response.c. */
typedef struct {
  ptrdiff_t rows, channels, size;
  double alpha, beta, k;
} fc_lrn;

#define FC_KERNELS(X)                                                                                                  \
  /* Any 4-d array, strides in elements, to a dense channels-last one. */                                              \
  X(to_channels_last, (const void *x, const ptrdiff_t *stride, const ptrdiff_t *shape, void *out))                     \
  /* Dense channels-last images to (batch, channels, pixels). */                                                       \
  X(to_planes, (const void *x, ptrdiff_t batch, ptrdiff_t channels, ptrdiff_t pixels, void *out))                      \
  /* The channels of x to out: as they are (`order` NULL), or out channel c is channel order[c] of x. */               \
  X(copy_channels,                                                                                                     \
    (fc_image x, fc_image out, const int64_t *order, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w, ptrdiff_t channels))   \
  /* Channels 0, 2, ... of out are those of x, the others those of y: `channels` each. */                              \
  X(interleave, (fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w, ptrdiff_t channels)) \
  /* x + y or, `product`, x * y; strides of 0 repeat a row or pixel. */                                                \
  X(combine, (int product, fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w,            \
              ptrdiff_t channels))                                                                                     \
  /* Convolution. Packed weights are what conv2d_pack makes of weights (out, in / groups, kh, kw) for the forward      \
   * product or, `backward`, for the input gradient; they fit the instruction set that packed them. */                 \
  X(conv2d_packed_size, (const fc_conv2d *conv, int backward, ptrdiff_t *size))                                        \
  X(conv2d_pack, (const fc_conv2d *conv, int backward, const void *weight, void *packed))                              \
  X(conv2d, (const fc_conv2d *conv, fc_image x, const void *packed, const fc_epilogue *epilogue, fc_image out))        \
  X(conv2d_grad_input,                                                                                                 \
    (const fc_conv2d *conv, fc_image grad, const void *packed, const fc_epilogue *epilogue, fc_image grad_x))          \
  /* The input's gradient with plain weights, by way of columns; groups is 1, the padding of zeros. */                 \
  X(conv2d_columns_grad_input, (const fc_conv2d *conv, fc_image grad, const void *weight, fc_image grad_x))            \
  X(conv2d_grad_weight, (const fc_conv2d *conv, int winograd, fc_image x, fc_image grad, void *grad_weight))           \
  /* Winograd with m outputs an axis a tile: F(2, 3), F(4, 3), F(2, 5), and F(4, 3) or F(3, 4) along a row or a        \
   * column of taps, at stride 1. A packed size of 0 says that it cannot serve. The plain weights are there for tiles  \
   * that must be computed directly; where the output itself is added, the status is FC_NOT_FINITE instead, and the    \
   * result lost. Where `packed` is NULL, the weights of square kernels are transformed in passing: the faster way,    \
   * and the one that needs less memory, for `fleeting` ones, which are told by whether they are used but once. */     \
  X(winograd_packed_size, (const fc_conv2d *conv, int m, int backward, ptrdiff_t *size))                               \
  X(winograd_pack, (const fc_conv2d *conv, int m, int backward, const void *weight, void *packed))                     \
  X(winograd_fleeting, (const fc_conv2d *conv, int m, int backward, int once, int *fleeting))                          \
  X(winograd, (const fc_conv2d *conv, int m, fc_image x, const void *weight, const void *packed,                       \
               const fc_epilogue *epilogue, fc_image out))                                                             \
  X(winograd_grad_input, (const fc_conv2d *conv, int m, fc_image grad, const void *weight, const void *packed,         \
                          const fc_epilogue *epilogue, fc_image grad_x))                                               \
  /* By Fourier transforms, at stride and dilation 1; tiles are of the size that packed_size tells. */                 \
  X(fft_conv2d_packed_size,                                                                                            \
    (const fc_conv2d *conv, int backward, ptrdiff_t *size, ptrdiff_t *tile_y, ptrdiff_t *tile_x))                      \
  X(fft_conv2d_pack, (const fc_conv2d *conv, int backward, const void *weight, void *packed))                          \
  X(fft_conv2d, (const fc_conv2d *conv, fc_image x, const void *weight, const void *packed,                            \
                 const fc_epilogue *epilogue, fc_image out))                                                           \
  X(fft_conv2d_grad_input, (const fc_conv2d *conv, fc_image grad, const void *weight, const void *packed,              \
                            const fc_epilogue *epilogue, fc_image grad_x))                                             \
  X(channel_sum, (const fc_window *window, fc_image grad, void *sums))                                                 \
  /* Fully connected: x (batch, in), weight (outputs, in), out (batch, outputs), all in C order; nothing added. */     \
  X(linear, (const void *x, const void *weight, const fc_epilogue *epilogue, void *out, ptrdiff_t batch, ptrdiff_t in, \
             ptrdiff_t outputs))                                                                                       \
  X(linear_grad_input,                                                                                                 \
    (const void *grad, const void *weight, void *grad_x, ptrdiff_t batch, ptrdiff_t in, ptrdiff_t outputs))            \
  X(linear_grad_weight,                                                                                                \
    (const void *x, const void *grad, void *grad_weight, ptrdiff_t batch, ptrdiff_t in, ptrdiff_t outputs))            \
  /* Explicit im2col: columns [image][out y][out x][tap y][tap x][channel], zeros in the padding; and its adjoint.  */ \
  X(im2col, (const fc_window *window, fc_image x, void *columns))                                                      \
  X(col2im, (const fc_window *window, const void *columns, fc_image x))                                                \
  /* Filtering of single planes (window->batch of them, pixels adjacent), all with the same weights (kh, kw):          \
   * correlation. By FFT at stride 1, in tiles of tile_y x tile_x, powers of                                           \
   * two of at least a vector and what the dilated kernel spans; a tile that is not finite is done directly.  */       \
  X(filter2d, (const fc_window *window, const fc_boundary *boundary, fc_image x, const void *weight, fc_image out))    \
  X(fft_filter2d, (const fc_window *window, const fc_boundary *boundary, ptrdiff_t tile_y, ptrdiff_t tile_x,           \
                   fc_image x, const void *weight, fc_image out))                                                      \
  /* FMA instructions on 14 independent accumulators, `rounds` times: what the processor can do at most. */            \
  X(fma_peak, (ptrdiff_t rounds, double *operations))                                                                  \
  /* image i resampled bilinearly by matrices[i] (2, 3), output to input pixel (x, y); h, w < 2^31 - 2 */              \
  X(affine_warp, (fc_image images, const double *matrices, double fill, fc_image out, ptrdiff_t n, ptrdiff_t h,        \
                  ptrdiff_t w, ptrdiff_t channels))                                                                    \
  /* Activations: n adjacent elements. `kept` is the result of relu, sigmoid and tanh, the input of all others. */     \
  X(activation, (const fc_activation *function, const void *x, void *out, ptrdiff_t n))                                \
  X(activation_grad, (const fc_activation *function, const void *kept, const void *grad, void *grad_x, ptrdiff_t n))   \
  /* Below 0, times a slope: of period `channels` along n adjacent elements. grad_x and grad_slope may be NULL. */     \
  X(prelu, (const void *x, const void *slope, void *out, ptrdiff_t n, ptrdiff_t channels))                             \
  X(prelu_grad, (const void *x, const void *slope, const void *grad, void *grad_x, void *grad_slope, ptrdiff_t n,      \
                 ptrdiff_t channels))                                                                                  \
  /* Dropout of `matrices` of `rows` rows of n elements; the rows of a matrix lose the same columns. */                \
  X(dropout, (const void *x, void *out, ptrdiff_t matrices, ptrdiff_t rows, ptrdiff_t n, const fc_dropout *options))   \
  /* Softmax of rows of n adjacent elements. */                                                                        \
  X(softmax, (const void *x, void *out, ptrdiff_t rows, ptrdiff_t n))                                                  \
  X(softmax_grad, (const void *out, const void *grad, void *grad_x, ptrdiff_t rows, ptrdiff_t n))                      \
  X(log_softmax, (const void *x, void *out, ptrdiff_t rows, ptrdiff_t n))                                              \
  X(log_softmax_grad, (const void *out, const void *grad, void *grad_x, ptrdiff_t rows, ptrdiff_t n))                  \
  /* Cross entropy of x (rows, classes). `weight` (classes) may be NULL, and so may `grad`, which gets the gradient    \
   * of `scale` * the sum of losses; `total` gets that sum, unscaled. Labels have passed check_target, which gives     \
   * the sum of the weights of all labels but `ignore_index` and the first row whose label is no class, or -1. */      \
  X(check_target, (const int64_t *target, const void *weight, ptrdiff_t rows, ptrdiff_t classes, int64_t ignore_index, \
                   double *total, ptrdiff_t *bad))                                                                     \
  X(cross_entropy,                                                                                                     \
    (const void *x, const int64_t *target, const void *weight, void *losses, void *grad, ptrdiff_t rows,               \
     ptrdiff_t classes, int64_t ignore_index, double smoothing, double scale, double *total))                          \
  /* Normalisation. Moments are the mean and the biased variance of every segment and group; `weight`, `after->bias`   \
   * and the gradients' outputs may be NULL; `fixed`: the moments are constants and not the data's own. What is added  \
   * after it is dense, as `out` is. Where there was a clamp after a sum or after `fixed` moments, the gradient needs  \
   * the results `out` and room for the gradient of the sum, `masked`; else both are NULL. */                          \
  X(norm_moments, (const fc_norm *norm, const void *x, double *mean, double *var))                                     \
  X(norm, (const fc_norm *norm, const void *x, const double *mean, const double *var, const void *weight,              \
           const fc_epilogue *after, void *out))                                                                       \
  X(norm_grad, (const fc_norm *norm, const void *x, const void *grad, const double *mean, const double *var,           \
                const void *weight, const fc_epilogue *after, int fixed, const void *out, void *masked, void *grad_x,  \
                void *grad_weight, void *grad_bias))                                                                   \
  /* Of rows of n adjacent elements; `deviation` is 1 / sqrt(var + eps). Parameters and gradients may be NULL. */      \
  X(layer_norm, (const void *x, const void *weight, const void *bias, void *out, double *mean, double *deviation,      \
                 ptrdiff_t rows, ptrdiff_t n, double eps))                                                             \
  X(layer_norm_grad,                                                                                                   \
    (const void *x, const void *grad, const void *weight, const double *mean, const double *deviation, void *grad_x,   \
     void *grad_weight, void *grad_bias, ptrdiff_t rows, ptrdiff_t n))                                                 \
  X(local_response_norm, (const fc_lrn *lrn, const void *x, void *out))                                                \
  X(local_response_norm_grad, (const fc_lrn *lrn, const void *x, const void *grad, void *grad_x))                      \
  /* Pooling of x to out, or of grad to grad_x. Where `winners` is not NULL, max pooling keeps in it what its gradient \
   * needs, fc_pool_planes(window) bytes an output. `relu`: maxima below 0 become 0 and have no gradient; not with 256 \
   * or 65536 taps, which leave no number free. `divisor` 0: the number of taps that count. */                         \
  X(max_pool2d, (const fc_window *window, fc_image x, fc_image out, uint8_t *winners, int relu))                       \
  X(max_pool2d_grad, (const fc_window *window, fc_image grad, const uint8_t *winners, fc_image grad_x))                \
  X(avg_pool2d, (const fc_window *window, fc_image x, fc_image out, int count_include_pad, ptrdiff_t divisor))         \
  X(avg_pool2d_grad,                                                                                                   \
    (const fc_window *window, fc_image grad, fc_image grad_x, int count_include_pad, ptrdiff_t divisor))               \
  /* out (outer, m, inner) = matrix * x (outer, n, inner), both in C order: out row i is the sum over k from start[i]  \
   * to start[i + 1] of weight[k] * x row index[k]. */                                                                 \
  X(resample, (const void *x, void *out, ptrdiff_t outer, ptrdiff_t n, ptrdiff_t m, ptrdiff_t inner,                   \
               const int64_t *start, const int64_t *index, const double *weight))                                      \
  /* Steps of optimisers on n elements, in place. `state` has three arrays, of which a rule uses the first ones; NULL  \
   * where there is nothing to keep: sgd [velocity], adam [m, v, largest v or NULL], rmsprop [average square, average  \
   * or NULL, velocity or NULL], adagrad [sum], adadelta [average square, average step squared]. */                    \
  X(sgd_update, (void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *options))        \
  X(adam_update, (void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *options))       \
  X(rmsprop_update, (void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *options))    \
  X(adagrad_update, (void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *options))    \
  X(adadelta_update, (void *parameter, const void *grad, void *const *state, ptrdiff_t n, const fc_update *options))   \
  /* The sum of n squares: short stretches in the element type, those in double, always in the same order. */          \
  X(sum_squares, (const void *x, ptrdiff_t n, double *total))

#define FC_TABLE_FIELD(name, arguments) int(*name) arguments;
typedef struct {
  const char *isa;
  int element_size;
  int vector_length; /* elements a vector holds: the tail lengths that tests must cover */
  FC_KERNELS(FC_TABLE_FIELD)
} fc_table;
#undef FC_TABLE_FIELD

/* An instruction set: its name and its float32 and float64 tables. */
typedef struct {
  const char *name;
  const fc_table *f32, *f64;
} fc_isa;

/* The instruction sets compiled in that this processor can run, best first; `fc_isa_count` of them. */
const fc_isa *fc_isa_list(int *count);
/* The one in use. The first call chooses: FASTCONV_ISA by name, or the best. NULL when FASTCONV_ISA names none. */
const fc_isa *fc_active_isa(void);
/* Chooses by name; 0 on success, -1 when this processor or build does not have it. */
int fc_use_isa(const char *name);
/* Which of the compiled-in instruction sets the processor has, by name (cpu.c). */
int fc_cpu_has(const char *name);

#endif
