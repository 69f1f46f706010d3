# Declarations of src_c/fastconv.h for the binding.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "memory.h":
    void *fc_memory_acquire(size_t bytes)
    void fc_memory_release(void *memory)
    void fc_memory_trim()

cdef extern from "fastconv.h" nogil:
    ctypedef struct fc_image:
        void *data
        ptrdiff_t image, row, pixel

    ctypedef struct fc_window:
        ptrdiff_t batch, h, w, channels
        ptrdiff_t kh, kw, out_h, out_w
        ptrdiff_t stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x
        int padding

    int fc_pool_planes(const fc_window *window)

    ctypedef struct fc_conv2d:
        fc_window window
        ptrdiff_t out_channels, groups

    ctypedef struct fc_boundary:
        int kind
        double fill

    int FC_FILL, FC_WRAP, FC_SYMM

    ctypedef struct fc_epilogue:
        const void *bias
        int clamp
        double low, high
        const void *add

    ctypedef struct fc_activation:
        int name
        double a, b, c

    ctypedef struct fc_lrn:
        ptrdiff_t rows, channels, size
        double alpha, beta, k

    int FC_NORM_NARROW
    ctypedef struct fc_norm:
        ptrdiff_t segments, rows, channels, groups, x_pitch, grad_pitch
        double eps

    ctypedef struct fc_dropout:
        uint64_t key
        uint32_t threshold
        double scale, shift, dropped

    ctypedef struct fc_update:
        double lr, weight_decay, momentum, fresh, beta1, beta2, shrink, correction, eps
        int nesterov, first, maximize

    ctypedef struct fc_table:
        const char *isa
        int element_size
        int vector_length
        int (*to_channels_last)(const void *x, const ptrdiff_t *stride, const ptrdiff_t *shape,
                                void *out) noexcept nogil
        int (*to_planes)(const void *x, ptrdiff_t batch, ptrdiff_t channels, ptrdiff_t pixels,
                         void *out) noexcept nogil
        int (*copy_channels)(fc_image x, fc_image out, const int64_t *order, ptrdiff_t batch, ptrdiff_t h,
                             ptrdiff_t w, ptrdiff_t channels) noexcept nogil
        int (*interleave)(fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w,
                          ptrdiff_t channels) noexcept nogil
        int (*combine)(int product, fc_image x, fc_image y, fc_image out, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w,
                       ptrdiff_t channels) noexcept nogil
        int (*conv2d_packed_size)(const fc_conv2d *conv, int backward, ptrdiff_t *size) noexcept nogil
        int (*conv2d_pack)(const fc_conv2d *conv, int backward, const void *weight, void *packed) noexcept nogil
        int (*conv2d)(const fc_conv2d *conv, fc_image x, const void *packed, const fc_epilogue *epilogue,
                      fc_image out) noexcept nogil
        int (*conv2d_columns_grad_input)(const fc_conv2d *conv, fc_image grad, const void *weight,
                                         fc_image grad_x) noexcept nogil
        int (*conv2d_grad_input)(const fc_conv2d *conv, fc_image grad, const void *packed, const fc_epilogue *epilogue,
                                 fc_image grad_x) noexcept nogil
        int (*conv2d_grad_weight)(const fc_conv2d *conv, int winograd, fc_image x, fc_image grad,
                                  void *grad_weight) noexcept nogil
        int (*winograd_packed_size)(const fc_conv2d *conv, int m, int backward, ptrdiff_t *size) noexcept nogil
        int (*winograd_pack)(const fc_conv2d *conv, int m, int backward, const void *weight,
                             void *packed) noexcept nogil
        int (*winograd_fleeting)(const fc_conv2d *conv, int m, int backward, int once,
                                 int *fleeting) noexcept nogil
        int (*winograd)(const fc_conv2d *conv, int m, fc_image x, const void *weight, const void *packed,
                        const fc_epilogue *epilogue, fc_image out) noexcept nogil
        int (*winograd_grad_input)(const fc_conv2d *conv, int m, fc_image grad, const void *weight, const void *packed,
                                   const fc_epilogue *epilogue, fc_image grad_x) noexcept nogil
        int (*fft_conv2d_packed_size)(const fc_conv2d *conv, int backward, ptrdiff_t *size, ptrdiff_t *tile_y,
                                      ptrdiff_t *tile_x) noexcept nogil
        int (*fft_conv2d_pack)(const fc_conv2d *conv, int backward, const void *weight, void *packed) noexcept nogil
        int (*fft_conv2d)(const fc_conv2d *conv, fc_image x, const void *weight, const void *packed,
                          const fc_epilogue *epilogue, fc_image out) noexcept nogil
        int (*fft_conv2d_grad_input)(const fc_conv2d *conv, fc_image grad, const void *weight, const void *packed,
                                     const fc_epilogue *epilogue, fc_image grad_x) noexcept nogil
        int (*channel_sum)(const fc_window *window, fc_image grad, void *sums) noexcept nogil
        int (*linear)(const void *x, const void *weight, const fc_epilogue *epilogue, void *out, ptrdiff_t batch,
                      ptrdiff_t n_in, ptrdiff_t outputs) noexcept nogil
        int (*linear_grad_input)(const void *grad, const void *weight, void *grad_x, ptrdiff_t batch, ptrdiff_t n_in,
                                 ptrdiff_t outputs) noexcept nogil
        int (*linear_grad_weight)(const void *x, const void *grad, void *grad_weight, ptrdiff_t batch, ptrdiff_t n_in,
                                  ptrdiff_t outputs) noexcept nogil
        int (*im2col)(const fc_window *window, fc_image x, void *columns) noexcept nogil
        int (*col2im)(const fc_window *window, const void *columns, fc_image x) noexcept nogil
        int (*filter2d)(const fc_window *window, const fc_boundary *boundary, fc_image x,
                        const void *weight, fc_image out) noexcept nogil
        int (*fft_filter2d)(const fc_window *window, const fc_boundary *boundary, ptrdiff_t tile_y, ptrdiff_t tile_x,
                            fc_image x, const void *weight, fc_image out) noexcept nogil
        int (*fma_peak)(ptrdiff_t rounds, double *operations) noexcept nogil
        int (*affine_warp)(fc_image images, const double *matrices, double fill, fc_image out, ptrdiff_t n,
                           ptrdiff_t h, ptrdiff_t w, ptrdiff_t channels) noexcept nogil
        int (*activation)(const fc_activation *function, const void *x, void *out, ptrdiff_t n) noexcept nogil
        int (*activation_grad)(const fc_activation *function, const void *kept, const void *grad, void *grad_x,
                               ptrdiff_t n) noexcept nogil
        int (*prelu)(const void *x, const void *slope, void *out, ptrdiff_t n, ptrdiff_t channels) noexcept nogil
        int (*prelu_grad)(const void *x, const void *slope, const void *grad, void *grad_x, void *grad_slope,
                          ptrdiff_t n, ptrdiff_t channels) noexcept nogil
        int (*dropout)(const void *x, void *out, ptrdiff_t matrices, ptrdiff_t rows, ptrdiff_t n,
                       const fc_dropout *options) noexcept nogil
        int (*softmax)(const void *x, void *out, ptrdiff_t rows, ptrdiff_t n) noexcept nogil
        int (*softmax_grad)(const void *out, const void *grad, void *grad_x, ptrdiff_t rows, ptrdiff_t n) noexcept nogil
        int (*log_softmax)(const void *x, void *out, ptrdiff_t rows, ptrdiff_t n) noexcept nogil
        int (*log_softmax_grad)(const void *out, const void *grad, void *grad_x, ptrdiff_t rows,
                                ptrdiff_t n) noexcept nogil
        int (*check_target)(const int64_t *target, const void *weight, ptrdiff_t rows, ptrdiff_t classes,
                            int64_t ignore_index, double *total, ptrdiff_t *bad) noexcept nogil
        int (*cross_entropy)(const void *x, const int64_t *target, const void *weight, void *losses, void *grad,
                             ptrdiff_t rows, ptrdiff_t classes, int64_t ignore_index, double smoothing, double scale,
                             double *total) noexcept nogil
        int (*norm_moments)(const fc_norm *norm, const void *x, double *mean, double *var) noexcept nogil
        int (*norm)(const fc_norm *norm, const void *x, const double *mean, const double *var, const void *weight,
                    const fc_epilogue *after, void *out) noexcept nogil
        int (*norm_grad)(const fc_norm *norm, const void *x, const void *grad, const double *mean, const double *var,
                         const void *weight, const fc_epilogue *after, int fixed, const void *out, void *masked,
                         void *grad_x, void *grad_weight, void *grad_bias) noexcept nogil
        int (*layer_norm)(const void *x, const void *weight, const void *bias, void *out, double *mean,
                          double *deviation, ptrdiff_t rows, ptrdiff_t n, double eps) noexcept nogil
        int (*layer_norm_grad)(const void *x, const void *grad, const void *weight, const double *mean,
                               const double *deviation, void *grad_x, void *grad_weight, void *grad_bias,
                               ptrdiff_t rows, ptrdiff_t n) noexcept nogil
        int (*local_response_norm)(const fc_lrn *lrn, const void *x, void *out) noexcept nogil
        int (*local_response_norm_grad)(const fc_lrn *lrn, const void *x, const void *grad,
                                        void *grad_x) noexcept nogil
        int (*max_pool2d)(const fc_window *window, fc_image x, fc_image out, uint8_t *winners, int relu) noexcept nogil
        int (*max_pool2d_grad)(const fc_window *window, fc_image grad, const uint8_t *winners,
                               fc_image grad_x) noexcept nogil
        int (*avg_pool2d)(const fc_window *window, fc_image x, fc_image out, int count_include_pad,
                          ptrdiff_t divisor) noexcept nogil
        int (*avg_pool2d_grad)(const fc_window *window, fc_image grad, fc_image grad_x, int count_include_pad,
                               ptrdiff_t divisor) noexcept nogil
        int (*resample)(const void *x, void *out, ptrdiff_t outer, ptrdiff_t n, ptrdiff_t m, ptrdiff_t inner,
                        const int64_t *start, const int64_t *index, const double *weight) noexcept nogil
        int (*sgd_update)(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                          const fc_update *options) noexcept nogil
        int (*adam_update)(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                           const fc_update *options) noexcept nogil
        int (*rmsprop_update)(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                              const fc_update *options) noexcept nogil
        int (*adagrad_update)(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                              const fc_update *options) noexcept nogil
        int (*adadelta_update)(void *parameter, const void *grad, void *const *state, ptrdiff_t n,
                               const fc_update *options) noexcept nogil
        int (*sum_squares)(const void *x, ptrdiff_t n, double *total) noexcept nogil

    ctypedef struct fc_isa:
        const char *name
        const fc_table *f32
        const fc_table *f64

    const fc_isa *fc_isa_list(int *count)
    const fc_isa *fc_active_isa()
    int fc_use_isa(const char *name)
    void fc_set_poll(int (*poll)() noexcept nogil)
    void fc_dry_run(bint dry)
    size_t fc_scratch_peak()
    int fc_set_num_threads(int n)
    int fc_get_num_threads()
    int FC_OK, FC_NO_MEMORY, FC_INTERRUPTED, FC_NOT_FINITE, FC_MAX_THREADS
