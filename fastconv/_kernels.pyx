"""The binding: one short def per kernel. Shapes are checked by `functional`; here only what would crash is.

Arrays come as NumPy arrays and not as typed memoryviews: acquiring one costs 0.6 us an argument, a tenth of a
small convolution's budget, and accepts misaligned buffers in silence.
"""
cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.long cimport PyLong_CheckExact
from cpython.tuple cimport PyTuple_CheckExact
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

import numpy as _numpy

cnp.import_array()


# --- status and interruption -------------------------------------------------------------------------------

cdef object pending = None  # what a signal handler raised while a kernel ran


cdef int poll_signals() noexcept nogil:
    """Lets Python answer Ctrl-C between two pieces of a job; nonzero stops the job."""
    global pending
    with gil:
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            pending = error
            return 1
    return 0


fc_set_poll(&poll_signals)


cdef inline int check(int status) except -1:
    if status != FC_OK:
        fail(status)
    return 0


cdef int fail(int status) except -1:
    global pending
    if status == FC_INTERRUPTED:
        error, pending = pending, None
        raise error if error is not None else KeyboardInterrupt()
    raise MemoryError("a kernel could not allocate its working memory")


# --- tables and arguments ----------------------------------------------------------------------------------

cdef inline const fc_table *table_of(cnp.ndarray array) except NULL:
    """The active table for an array's element type."""
    cdef const fc_isa *isa = fc_active_isa()
    cdef int kind = cnp.PyArray_TYPE(array)
    if isa == NULL:
        raise_unknown_isa()
    if kind == cnp.NPY_FLOAT32:
        return isa.f32
    if kind == cnp.NPY_FLOAT64:
        return isa.f64
    raise TypeError(f"a kernel needs float32 or float64 arrays, got {array.dtype}")


cdef int raise_unknown_isa() except -1:
    import os
    name = os.environ.get("FASTCONV_ISA")
    raise ValueError(f"FASTCONV_ISA={name!r} names no instruction set of this build and processor: {available_isas()}")


cdef inline void *flat(cnp.ndarray array, const fc_table *table) except? NULL:
    """The data of a native, aligned, C-contiguous array of the table's type."""
    if not cnp.PyArray_ISCARRAY_RO(array) or cnp.PyArray_ITEMSIZE(array) != table.element_size:
        raise TypeError("a kernel needs aligned, C-contiguous arrays of one floating type")
    return cnp.PyArray_DATA(array)


cdef inline void *flat_out(cnp.ndarray array, const fc_table *table) except? NULL:
    """The same for an array that is written."""
    if not cnp.PyArray_ISCARRAY(array) or cnp.PyArray_ITEMSIZE(array) != table.element_size:
        raise TypeError("a kernel writes only to writable, aligned, C-contiguous arrays of one floating type")
    return cnp.PyArray_DATA(array)


cdef int image_of(cnp.ndarray array, const fc_table *table, fc_image *image) except -1:
    """Describes a logical (N, C, H, W) array whose channels are adjacent in memory."""
    cdef const cnp.npy_intp *stride = cnp.PyArray_STRIDES(array)
    cdef ptrdiff_t size = table.element_size
    if (cnp.PyArray_NDIM(array) != 4 or cnp.PyArray_ITEMSIZE(array) != size or not cnp.PyArray_ISBEHAVED_RO(array)
            or (cnp.PyArray_DIM(array, 1) > 1 and stride[1] != size and cnp.PyArray_SIZE(array) > 0)):
        raise TypeError("a kernel needs aligned 4-d channels-last arrays of one floating type")
    image.data = cnp.PyArray_DATA(array)
    image.image = stride[0] // size
    image.row = stride[2] // size
    image.pixel = stride[3] // size
    return 0


cdef bint is_channels_last(cnp.ndarray array):
    """Whether channels are adjacent and pixels, rows and images follow each other at non-overlapping pitches."""
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(array)
    cdef cnp.npy_intp *stride = cnp.PyArray_STRIDES(array)
    cdef cnp.npy_intp size = cnp.PyArray_ITEMSIZE(array)
    cdef cnp.npy_intp expected = size
    cdef int axis
    for axis in (1, 3, 2, 0):
        if shape[axis] != 1:
            if axis == 1 and stride[1] != size:
                return False
            if stride[axis] < expected or stride[axis] % size:
                return False
            expected = stride[axis] * shape[axis]
    return cnp.PyArray_ISBEHAVED_RO(array)


@cython.freelist(64)
cdef class _Memory:
    """Owns the memory of an array, aligned to cache lines as NumPy's own is not: no vector load crosses a line."""
    cdef void *data

    def __dealloc__(self):
        fc_memory_release(self.data)


cdef cnp.ndarray new_array(int ndim, const cnp.npy_intp *shape, const cnp.npy_intp *strides, int kind, size_t size):
    """An uninitialised array of `size` bytes and the given strides; NULL strides mean C order."""
    cdef _Memory memory = _Memory.__new__(_Memory)
    memory.data = fc_memory_acquire(size + 1)  # something to own even where the array is empty
    if memory.data == NULL:
        raise MemoryError(f"no memory for an array of {size} bytes")
    cdef cnp.ndarray array = cnp.PyArray_New(cnp.ndarray, ndim, <cnp.npy_intp *>shape, kind, <cnp.npy_intp *>strides,
                                             memory.data, 0, cnp.NPY_ARRAY_WRITEABLE, <object>NULL)
    cnp.set_array_base(array, memory)
    return array


cdef cnp.ndarray new_channels_last(const cnp.npy_intp *shape, int kind):
    cdef cnp.npy_intp strides[4]
    strides[1] = 4 if kind == cnp.NPY_FLOAT32 else 8
    strides[3] = strides[1] * shape[1]
    strides[2] = strides[3] * shape[3]
    strides[0] = strides[2] * shape[2]
    return new_array(4, shape, strides, kind, strides[0] * shape[0])


cdef cnp.ndarray new_vector(cnp.npy_intp length, int kind):
    return new_array(1, &length, NULL, kind, length * (4 if kind == cnp.NPY_FLOAT32 else 8))


def empty(shape, cnp.dtype dtype not None):
    """An uninitialised array in C order."""
    cdef cnp.npy_intp dims[32]
    cdef int axis, ndim = len(shape)
    cdef cnp.npy_intp size = dtype.itemsize
    if ndim > 32:
        raise ValueError(f"empty: at most 32 axes, got {ndim}")
    for axis in range(ndim):
        dims[axis] = shape[axis]
        size *= dims[axis]
    return new_array(ndim, dims, NULL, dtype.type_num, size)


def trim():
    """Gives the memory kept for later arrays back to the system."""
    fc_memory_trim()


def empty_like(cnp.ndarray array not None):
    """An uninitialised array of the same shape and type, and of the same strides where those are dense."""
    cdef int kind = cnp.PyArray_TYPE(array)
    cdef bint is_float = kind == cnp.NPY_FLOAT32 or kind == cnp.NPY_FLOAT64
    if is_float and cnp.PyArray_IS_C_CONTIGUOUS(array):
        return new_array(cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array), NULL, kind, cnp.PyArray_NBYTES(array))
    if is_float and cnp.PyArray_NDIM(array) == 4 and is_channels_last(array):
        return new_channels_last(cnp.PyArray_DIMS(array), kind)
    return _numpy.empty_like(array, subok=False)


def empty_channels_last(tuple shape not None, cnp.dtype dtype not None):
    """An uninitialised array of logical shape (N, C, H, W), stored (N, H, W, C)."""
    cdef cnp.npy_intp dims[4]
    dims[0], dims[1], dims[2], dims[3] = shape
    return new_channels_last(dims, dtype.type_num)


def channels_last(cnp.ndarray array not None):
    """`array` itself where its channels are adjacent in memory already, else a copy that is so."""
    cdef ptrdiff_t stride[4]
    cdef ptrdiff_t shape[4]
    cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(array)
    cdef const fc_table *table
    cdef void *source
    cdef void *target
    cdef int axis, status
    if cnp.PyArray_NDIM(array) != 4:
        raise TypeError(f"channels_last takes 4-d arrays, got {cnp.PyArray_NDIM(array)}-d")
    if is_channels_last(array):
        return array
    table = table_of(array)
    cdef cnp.ndarray copy = new_channels_last(cnp.PyArray_DIMS(array), cnp.PyArray_TYPE(array))
    for axis in range(4):
        shape[axis] = cnp.PyArray_DIM(array, axis)
        stride[axis] = cnp.PyArray_STRIDE(array, axis) // size
        if stride[axis] * size != cnp.PyArray_STRIDE(array, axis) or not cnp.PyArray_ISBEHAVED_RO(array):
            (<object>copy)[...] = array
            return copy
    source, target = cnp.PyArray_DATA(array), cnp.PyArray_DATA(copy)
    with nogil:
        status = table.to_channels_last(source, stride, shape, target)
    check(status)
    return copy


cdef enum:
    FEWEST_PLANES = 4  # of fewer the lanes stay empty


def planes(cnp.ndarray array not None):
    """Dense channels-last images copied to C order; any other array itself, whose order is NumPy's business."""
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(array)
    cdef int kind = cnp.PyArray_TYPE(array), status
    if (cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_NDIM(array) != 4 or shape[1] < FEWEST_PLANES
            or not is_channels_last(array) or not is_dense(array)
            or (kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64)):
        return array
    cdef const fc_table *table = table_of(array)
    cdef cnp.ndarray copy = new_array(4, shape, NULL, kind, cnp.PyArray_NBYTES(array))
    cdef void *source = cnp.PyArray_DATA(array)
    cdef void *target = cnp.PyArray_DATA(copy)
    with nogil:
        status = table.to_planes(source, shape[0], shape[1], shape[2] * shape[3], target)
    check(status)
    return copy


cdef enum:
    COMBINED_SIZE = 1 << 14  # fewer elements are NumPy's business


def copy_channels(cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray order=None):
    """Copies channels between images of one shape, maybe slices of wider ones; in an `order` (int64), or as is."""
    cdef const fc_table *table = table_of(x)
    cdef fc_image source, target
    cdef const int64_t *places = NULL
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(x)
    cdef int status
    image_of(x, table, &source)
    image_of(out, table, &target)
    if not cnp.PyArray_ISWRITEABLE(out) or not cnp.PyArray_SAMESHAPE(x, out):
        raise TypeError("copy_channels writes to a writable image of the same shape")
    if order is not None:
        if (cnp.PyArray_TYPE(order) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY_RO(order)
                or cnp.PyArray_SIZE(order) != shape[1]):
            raise TypeError("copy_channels needs an int64 number for each channel")
        places = <const int64_t *>cnp.PyArray_DATA(order)
    with nogil:
        status = table.copy_channels(source, target, places, shape[0], shape[2], shape[3], shape[1])
    check(status)


def interleave(cnp.ndarray x not None, cnp.ndarray y not None, cnp.ndarray out not None):
    """Writes the channels of two images of one shape in turn to an image of twice as many."""
    cdef const fc_table *table = table_of(x)
    cdef fc_image first, second, target
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp *wide = cnp.PyArray_DIMS(out)
    cdef int status
    image_of(x, table, &first)
    image_of(y, table, &second)
    image_of(out, table, &target)
    if (not cnp.PyArray_ISWRITEABLE(out) or not cnp.PyArray_SAMESHAPE(x, y) or wide[0] != shape[0]
            or wide[1] != 2 * shape[1] or wide[2] != shape[2] or wide[3] != shape[3]):
        raise TypeError("interleave writes two images of one shape to a writable image of twice their channels")
    with nogil:
        status = table.interleave(first, second, target, shape[0], shape[2], shape[3], shape[1])
    check(status)


def combined(x, y, bint product):
    """x + y or x * y, computed by all threads: of two large batches of images, channels last, or of one and of a number
    for each of its images' channels (N, C, 1, 1). None for all else.
    """
    if type(x) is not cnp.ndarray or type(y) is not cnp.ndarray:
        return None
    if cnp.PyArray_SIZE(x) < cnp.PyArray_SIZE(y):
        x, y = y, x
    cdef cnp.ndarray large = x, other = y
    if (cnp.PyArray_NDIM(large) != 4 or cnp.PyArray_NDIM(other) != 4 or cnp.PyArray_SIZE(large) < COMBINED_SIZE
            or cnp.PyArray_TYPE(large) != cnp.PyArray_TYPE(other)
            or cnp.PyArray_TYPE(large) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
            or not is_channels_last(large) or not is_channels_last(other)):
        return None
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(large)
    cdef const cnp.npy_intp *others = cnp.PyArray_DIMS(other)
    cdef bint whole = shape[2] == others[2] and shape[3] == others[3]
    if shape[0] != others[0] or shape[1] != others[1] or not (whole or others[2] == others[3] == 1):
        return None
    cdef const fc_table *table = table_of(large)
    cdef cnp.ndarray out = new_channels_last(shape, cnp.PyArray_TYPE(large))
    cdef fc_image first, second, target
    cdef int status
    image_of(large, table, &first)
    image_of(other, table, &second)
    image_of(out, table, &target)
    if not whole:
        second.row = second.pixel = 0
    with nogil:
        status = table.combine(product, first, second, target, shape[0], shape[2], shape[3], shape[1])
    check(status)
    return out


# --- instruction sets --------------------------------------------------------------------------------------

def available_isas():
    """Names of the instruction sets that can be used here, best first.

    Examples
    --------
    >>> "scalar" in available_isas()
    True
    """
    cdef int count
    cdef const fc_isa *isas = fc_isa_list(&count)
    return [isas[i].name.decode() for i in range(count)]


cdef const fc_isa *named_isa = NULL  # the one `isa_name` belongs to: cache keys ask for it in every convolution
cdef str isa_name = None


def active_isa():
    """Name of the instruction set in use."""
    global named_isa, isa_name
    cdef const fc_isa *isa = fc_active_isa()
    if isa == NULL:
        raise_unknown_isa()
    if isa != named_isa:
        isa_name = isa.name.decode()
        named_isa = isa
    return isa_name


def set_isa(str name not None):
    """Uses the instruction set `name` from now on."""
    if fc_use_isa(name.encode()) != 0:
        raise ValueError(f"use_isa: no instruction set {name!r} here, available: {', '.join(available_isas())}")


def vector_length(dtype):
    """Elements of `dtype` in a vector of the active instruction set."""
    active_isa()
    return (fc_active_isa().f32 if dtype == "float32" else fc_active_isa().f64).vector_length


# --- threads -----------------------------------------------------------------------------------------------

MAX_THREADS = FC_MAX_THREADS


def set_num_threads(int n):
    """The thread count from the next kernel on."""
    if fc_set_num_threads(n) != 0:
        raise ValueError(f"kernels run on 1 to {MAX_THREADS} threads, not {n}")


def get_num_threads():
    """The thread count of the next kernel."""
    return fc_get_num_threads()


def scratch_needed(function):
    """Bytes of working memory that the kernels called by function() ask for at a time; they compute nothing."""
    fc_dry_run(True)
    try:
        function()
    finally:
        fc_dry_run(False)
    return fc_scratch_peak()


# --- windows -----------------------------------------------------------------------------------------------

cdef bint is_plain(value):
    """Whether this is an int or a string, or a tuple of such; not a bool, a float or a NumPy scalar."""
    if PyLong_CheckExact(value) or PyUnicode_CheckExact(value):
        return True
    if not PyTuple_CheckExact(value):
        return False
    for each in <tuple>value:
        if not is_plain(each):
            return False
    return True


cdef dict convolutions = {}  # arguments -> Conv2d or another object that says how to compute them


def known_convolution(tuple arguments not None):
    """What is kept for these arguments, or None. Only plain ones are looked up, for 1 == 1.0 == True."""
    return convolutions.get(arguments) if is_plain(arguments) else None


def keep_convolution(tuple arguments not None, convolution):
    """Keeps an object for known_convolution; a thousand of them at most."""
    if len(convolutions) >= 1024:
        convolutions.clear()
    if is_plain(arguments):
        convolutions[arguments] = convolution


def plain_ints(a, b, c, d):
    """Whether all four are ints or tuples of such: then they may be looked up, for 1 == 1.0 == True."""
    return is_plain(a) and is_plain(b) and is_plain(c) and is_plain(d)


PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


cdef class Window:
    """The geometry of a window that slides over an image: `fc_window`, made once for each shape and set of options.

    Nothing is checked here: `fastconv.functional._window` computes the numbers. `shape` is the input's, `out_shape` the
    result's with as many channels as the input has, both (N, C, H, W). `winner_bytes` is what max pooling keeps;
    `padding_mode` is a place in PADDING_MODES.
    """
    cdef fc_window geometry
    cdef readonly tuple shape, out_shape
    cdef readonly tuple kernel, stride, padding, dilation  # of both axes; the padding before
    cdef readonly int padding_mode
    cdef readonly bint plain  # stride and dilation are 1
    cdef readonly ptrdiff_t winner_bytes

    def __cinit__(self, ptrdiff_t batch, ptrdiff_t h, ptrdiff_t w, ptrdiff_t channels, ptrdiff_t kh, ptrdiff_t kw,
                  ptrdiff_t out_h, ptrdiff_t out_w, ptrdiff_t stride_y, ptrdiff_t stride_x, ptrdiff_t pad_y,
                  ptrdiff_t pad_x, ptrdiff_t dilation_y, ptrdiff_t dilation_x, int padding_mode=0):
        cdef fc_window *g = &self.geometry
        g.batch, g.h, g.w, g.channels = batch, h, w, channels
        g.kh, g.kw, g.out_h, g.out_w = kh, kw, out_h, out_w
        g.stride_y, g.stride_x, g.pad_y, g.pad_x = stride_y, stride_x, pad_y, pad_x
        g.dilation_y, g.dilation_x = dilation_y, dilation_x
        g.padding = self.padding_mode = padding_mode
        self.kernel = (kh, kw)
        self.stride = (stride_y, stride_x)
        self.padding = (pad_y, pad_x)
        self.dilation = (dilation_y, dilation_x)
        self.plain = stride_y == stride_x == dilation_y == dilation_x == 1
        self.shape = (batch, channels, h, w)
        self.out_shape = (batch, channels, out_h, out_w)
        self.winner_bytes = batch * channels * out_h * out_w * fc_pool_planes(g)


# --- convolution -------------------------------------------------------------------------------------------

cdef enum:
    MATRIX_PIXELS = 300
    MATRIX_INPUT = 360_000  # elements


cdef ptrdiff_t matrix_input_limit(ptrdiff_t channels, ptrdiff_t out_channels):
    """The most elements of an input whose weights' gradient is that of a fully connected layer: more where outputs are
    few, for whom all pixels are read once, and inputs enough to share them out, in whole vectors."""
    if channels < 96 or channels % 16 or out_channels > 64:
        return MATRIX_INPUT
    return 1_000_000 if out_channels > 32 else 4_000_000


cdef class Conv2d:
    """The sizes of a convolution, checked by `functional` once and kept.

    `padded` is the same convolution of an input that has its padding already, where the padding is not of zeros.
    """
    cdef fc_conv2d sizes
    cdef readonly Window window
    cdef readonly ptrdiff_t groups
    # What packed weights depend on beside the weights: the forward product's, and those of its adjoint.
    cdef readonly tuple packing, adjoint_packing
    cdef readonly tuple shape, weight_shape, out_shape
    cdef readonly Conv2d padded
    cdef readonly int winograd_tile  # outputs an axis of the Winograd tile that pays here, 0 for direct
    # Whether a 1x1 kernel's gradients of input and weight are better those of a fully connected layer whose samples
    # are the pixels: it reads weights and pixels where they are, which pays while these stay in the caches.
    cdef readonly bint matrix_input, matrix_weight

    def __cinit__(self, Window window not None, ptrdiff_t out_channels, ptrdiff_t groups, int winograd_tile=0,
                  Conv2d padded=None):
        cdef fc_window *w = &window.geometry
        self.padded = padded
        self.winograd_tile = winograd_tile
        self.window = window
        self.sizes.window = window.geometry
        self.sizes.out_channels = out_channels
        self.sizes.groups = self.groups = groups
        # Few output channels: what pixels of a row share vectors, and over which taps, depends on these.
        self.packing = (groups,)
        if out_channels <= 8:
            self.packing = (groups, w.out_w, w.stride_x, w.dilation_y, w.dilation_x)
        self.adjoint_packing = (groups, w.h, w.w, w.out_h, w.out_w, w.stride_y, w.stride_x, w.pad_y, w.pad_x,
                                w.dilation_y, w.dilation_x)
        cdef bint matrix = (groups == 1 and w.kh == w.kw == w.stride_y == w.stride_x == 1 and w.pad_y == w.pad_x == 0
                            and w.out_h == w.h and w.out_w == w.w)
        cdef ptrdiff_t pixels = w.batch * w.h * w.w
        self.matrix_input = matrix and 0 < pixels <= MATRIX_PIXELS
        self.matrix_weight = matrix and 0 < pixels * w.channels <= matrix_input_limit(w.channels, out_channels)
        self.shape = window.shape
        self.weight_shape = (out_channels, w.channels // groups, w.kh, w.kw)
        self.out_shape = (w.batch, out_channels, w.out_h, w.out_w)


def conv2d_pack(Conv2d conv not None, cnp.ndarray weight not None, bint backward=False):
    """Weights (out, in / groups, kh, kw) as the active instruction set's micro-kernel wants them."""
    cdef const fc_table *table = table_of(weight)
    cdef void *source = flat(weight, table)
    cdef ptrdiff_t elements
    cdef int status
    table.conv2d_packed_size(&conv.sizes, backward, &elements)
    cdef cnp.ndarray packed = new_vector(elements, cnp.PyArray_TYPE(weight))
    cdef void *target = cnp.PyArray_DATA(packed)
    with nogil:
        status = table.conv2d_pack(&conv.sizes, backward, source, target)
    check(status)
    return packed


cdef int epilogue_of(cnp.ndarray bias, bint accumulate, cnp.ndarray residual, tuple clamp, const fc_table *table,
                     fc_image *out, fc_epilogue *epilogue) except -1:
    cdef fc_image added
    epilogue.bias = NULL if bias is None else flat(bias, table)
    epilogue.clamp = clamp is not None
    epilogue.low, epilogue.high = clamp if clamp is not None else (0, 0)
    epilogue.add = out.data if accumulate else NULL
    if residual is not None:
        image_of(residual, table, &added)
        if ((cnp.PyArray_DIM(residual, 0) > 1 and added.image != out.image)
                or (cnp.PyArray_DIM(residual, 2) > 1 and added.row != out.row)
                or (cnp.PyArray_DIM(residual, 3) > 1 and added.pixel != out.pixel)):
            raise TypeError("residual must have the memory layout of out")
        epilogue.add = added.data
    return 0


def conv2d(Conv2d conv not None, cnp.ndarray x not None, cnp.ndarray packed not None, cnp.ndarray bias,
           cnp.ndarray out=None, bint accumulate=False, cnp.ndarray residual=None, tuple clamp=None):
    """`accumulate`: add to what `out` holds; `residual`: add this instead; `clamp`: (least, greatest). So below.

    Without `out` the result is a new array. It is returned.
    """
    cdef const fc_table *table = table_of(x)
    cdef fc_window *w = &conv.sizes.window
    cdef cnp.npy_intp *shape = [w.batch, conv.sizes.out_channels, w.out_h, w.out_w]
    cdef fc_image source, target
    cdef fc_epilogue epilogue
    cdef int status
    if out is None:
        if accumulate:
            raise TypeError("conv2d: there is no out to add to")
        out = new_channels_last(shape, cnp.PyArray_TYPE(x))
    image_of(x, table, &source)
    image_of(out, table, &target)
    cdef bint alone = conv.groups == 1 and 2 * conv.sizes.out_channels > table.vector_length  # a pixel in its vector
    if (target.pixel != conv.sizes.out_channels and not alone and cnp.PyArray_DIM(out, 3) > 1
            and cnp.PyArray_SIZE(out) > 0):
        raise TypeError("conv2d: the pixels of out must follow each other without a gap")
    epilogue_of(bias, accumulate, residual, clamp, table, &target, &epilogue)
    cdef void *weights = flat(packed, table)
    with nogil:
        status = table.conv2d(&conv.sizes, source, weights, &epilogue, target)
    check(status)
    return out


def conv2d_grad_input(Conv2d conv not None, cnp.ndarray grad not None, cnp.ndarray packed not None,
                      cnp.ndarray grad_x not None, cnp.ndarray bias=None, bint accumulate=False):
    """`bias`: for transposed convolution, one value for each channel of `grad_x`."""
    cdef const fc_table *table = table_of(grad)
    cdef fc_image source, target
    cdef fc_epilogue epilogue
    cdef int status
    image_of(grad, table, &source)
    image_of(grad_x, table, &target)
    epilogue_of(bias, accumulate, None, None, table, &target, &epilogue)
    cdef void *weights = flat(packed, table)
    with nogil:
        status = table.conv2d_grad_input(&conv.sizes, source, weights, &epilogue, target)
    check(status)


cdef bint pixels_follow(cnp.ndarray array, const fc_image *image):
    """Whether all pixels of an (N, C, H, W) array lie one after the other, without gaps."""
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(array)
    return ((shape[3] == 1 or image.pixel == shape[1]) and (shape[2] == 1 or image.row == shape[3] * shape[1])
            and (shape[0] == 1 or image.image == shape[2] * shape[3] * shape[1]))


cdef cnp.ndarray without_gaps(cnp.ndarray array, const fc_table *table, fc_image *image):
    """The array, or a copy that is then described, if there are gaps between pixels."""
    if pixels_follow(array, image):
        return array
    cdef cnp.ndarray copy = empty_channels_last((<object> array).shape, array.dtype)
    cnp.PyArray_CopyInto(copy, array)
    image_of(copy, table, image)
    return copy


def conv2d_matrix_grad_input(Conv2d conv not None, cnp.ndarray grad not None, cnp.ndarray weight not None,
                             cnp.ndarray grad_x not None):
    """The input's gradient by plain weights, where `matrix_input` is. Returns False, nothing done, if pixels have gaps.
    """
    cdef const fc_table *table = table_of(grad)
    cdef const fc_window *w = &conv.sizes.window
    cdef fc_image source, target
    cdef int status
    image_of(grad, table, &source)
    image_of(grad_x, table, &target)
    cdef void *weights = flat(weight, table)
    if not pixels_follow(grad, &source) or not pixels_follow(grad_x, &target):
        return False
    with nogil:
        status = table.linear_grad_input(source.data, weights, target.data, w.batch * w.h * w.w, w.channels,
                                         conv.sizes.out_channels)
    check(status)
    return True


def conv2d_columns_grad_input(Conv2d conv not None, cnp.ndarray grad not None, cnp.ndarray weight not None,
                              cnp.ndarray grad_x not None):
    """The input's gradient by plain weights and col2im, for groups=1 and a padding of zeros."""
    cdef const fc_table *table = table_of(grad)
    cdef fc_image source, target
    cdef int status
    image_of(grad, table, &source)
    image_of(grad_x, table, &target)
    cdef void *weights = flat(weight, table)
    with nogil:
        status = table.conv2d_columns_grad_input(&conv.sizes, source, weights, target)
    check(status)


def conv2d_grad_weight(Conv2d conv not None, cnp.ndarray x not None, cnp.ndarray grad not None,
                       cnp.ndarray grad_weight not None, bint winograd=False):
    """`winograd`: by F(3, 4) where that serves and pays."""
    cdef const fc_table *table = table_of(x)
    cdef fc_image source, given
    cdef int status
    image_of(x, table, &source)
    image_of(grad, table, &given)
    cdef void *target = flat_out(grad_weight, table)
    cdef const fc_window *w = &conv.sizes.window
    if conv.matrix_weight:  # bits must not depend on gaps
        x, grad = without_gaps(x, table, &source), without_gaps(grad, table, &given)
    elif conv.groups == 1 and 2 * conv.sizes.out_channels <= table.vector_length:  # pixels may share a vector
        grad = without_gaps(grad, table, &given)
    with nogil:
        if conv.matrix_weight:
            status = table.linear_grad_weight(source.data, given.data, target, w.batch * w.h * w.w, w.channels,
                                              conv.sizes.out_channels)
        else:
            status = table.conv2d_grad_weight(&conv.sizes, winograd, source, given, target)
    check(status)


def winograd_serves(Conv2d conv not None, int m):
    """Whether there is a Winograd transform for this convolution with tiles of m x m outputs."""
    cdef const fc_isa *isa = fc_active_isa()
    cdef ptrdiff_t elements
    if isa == NULL:
        raise_unknown_isa()
    isa.f32.winograd_packed_size(&conv.sizes, m, False, &elements)
    return elements > 0


def winograd_fleeting(Conv2d conv not None, int m, bint backward=False, bint once=False):
    """Whether weights are better transformed in passing (`packed` is None then), those used `once` or all."""
    cdef const fc_isa *isa = fc_active_isa()
    cdef int fleeting
    if isa == NULL:
        raise_unknown_isa()
    isa.f32.winograd_fleeting(&conv.sizes, m, backward, once, &fleeting)
    return fleeting != 0


def winograd_pack(Conv2d conv not None, int m, cnp.ndarray weight not None, bint backward=False):
    """Transformed weights for tiles of m x m outputs."""
    cdef const fc_table *table = table_of(weight)
    cdef void *source = flat(weight, table)
    cdef ptrdiff_t elements
    cdef int status
    table.winograd_packed_size(&conv.sizes, m, backward, &elements)
    if elements == 0:
        raise ValueError("winograd_pack: no transform for this convolution")
    cdef cnp.ndarray packed = new_vector(elements, cnp.PyArray_TYPE(weight))
    cdef void *target = cnp.PyArray_DATA(packed)
    with nogil:
        status = table.winograd_pack(&conv.sizes, m, backward, source, target)
    check(status)
    return packed


ctypedef int (*winograd_kernel)(const fc_conv2d *, int, fc_image, const void *, const void *, const fc_epilogue *,
                                fc_image) noexcept nogil


cdef bint run_winograd(winograd_kernel kernel, Conv2d conv, int m, cnp.ndarray x, cnp.ndarray weight,
                       cnp.ndarray packed, cnp.ndarray bias, cnp.ndarray out, bint accumulate, cnp.ndarray residual,
                       tuple clamp, const fc_table *table) except -1:
    cdef fc_image source, target
    cdef fc_epilogue epilogue
    cdef int status
    image_of(x, table, &source)
    image_of(out, table, &target)
    epilogue_of(bias, accumulate, residual, clamp, table, &target, &epilogue)
    cdef void *plain = flat(weight, table)
    cdef void *weights = NULL if packed is None else flat(packed, table)
    with nogil:
        status = kernel(&conv.sizes, m, source, plain, weights, &epilogue, target)
    if status == FC_NOT_FINITE:
        return False
    check(status)
    return True


def winograd(Conv2d conv not None, int m, cnp.ndarray x not None, cnp.ndarray weight not None,
             cnp.ndarray packed, cnp.ndarray bias, cnp.ndarray out not None, bint accumulate=False,
             cnp.ndarray residual=None, tuple clamp=None):
    """Returns whether `out` is right: not where a value is not finite and was to be accumulated."""
    cdef const fc_table *table = table_of(x)
    return run_winograd(table.winograd, conv, m, x, weight, packed, bias, out, accumulate, residual, clamp, table)


def winograd_grad_input(Conv2d conv not None, int m, cnp.ndarray grad not None, cnp.ndarray weight not None,
                        cnp.ndarray packed, cnp.ndarray grad_x not None, cnp.ndarray bias=None,
                        bint accumulate=False):
    """Returns whether `grad_x` is right, as `winograd` does."""
    cdef const fc_table *table = table_of(grad)
    return run_winograd(table.winograd_grad_input, conv, m, grad, weight, packed, bias, grad_x, accumulate, None, None,
                        table)


def fft_conv2d_tile(Conv2d conv not None, bint backward=False):
    """Height and width of the tiles that Fourier transforms are taken of, None where they cannot serve."""
    cdef const fc_isa *isa = fc_active_isa()
    cdef ptrdiff_t elements, tile_y, tile_x
    if isa == NULL:
        raise_unknown_isa()
    isa.f32.fft_conv2d_packed_size(&conv.sizes, backward, &elements, &tile_y, &tile_x)
    return (tile_y, tile_x) if elements > 0 else None


def fft_conv2d_pack(Conv2d conv not None, cnp.ndarray weight not None, bint backward=False):
    """The spectra of the weights."""
    cdef const fc_table *table = table_of(weight)
    cdef void *source = flat(weight, table)
    cdef ptrdiff_t elements, tile_y, tile_x
    cdef int status
    table.fft_conv2d_packed_size(&conv.sizes, backward, &elements, &tile_y, &tile_x)
    if elements == 0:
        raise ValueError("fft_conv2d_pack: no transform for this convolution")
    cdef cnp.ndarray packed = new_vector(elements, cnp.PyArray_TYPE(weight))
    cdef void *target = cnp.PyArray_DATA(packed)
    with nogil:
        status = table.fft_conv2d_pack(&conv.sizes, backward, source, target)
    check(status)
    return packed


ctypedef int (*fft_kernel)(const fc_conv2d *, fc_image, const void *, const void *, const fc_epilogue *,
                           fc_image) noexcept nogil


cdef int run_fft(fft_kernel kernel, Conv2d conv, cnp.ndarray x, cnp.ndarray weight, cnp.ndarray packed,
                 cnp.ndarray bias, cnp.ndarray out, cnp.ndarray residual, tuple clamp,
                 const fc_table *table) except -1:
    cdef fc_image source, target
    cdef fc_epilogue epilogue
    cdef int status
    image_of(x, table, &source)
    image_of(out, table, &target)
    epilogue_of(bias, False, residual, clamp, table, &target, &epilogue)
    cdef void *plain = flat(weight, table)
    cdef void *weights = flat(packed, table)
    with nogil:
        status = kernel(&conv.sizes, source, plain, weights, &epilogue, target)
    return check(status)


def fft_conv2d(Conv2d conv not None, cnp.ndarray x not None, cnp.ndarray weight not None, cnp.ndarray packed not None,
               cnp.ndarray bias, cnp.ndarray out not None, cnp.ndarray residual=None, tuple clamp=None):
    cdef const fc_table *table = table_of(x)
    run_fft(table.fft_conv2d, conv, x, weight, packed, bias, out, residual, clamp, table)


def fft_conv2d_grad_input(Conv2d conv not None, cnp.ndarray grad not None, cnp.ndarray weight not None,
                          cnp.ndarray packed not None, cnp.ndarray grad_x not None, cnp.ndarray bias=None):
    cdef const fc_table *table = table_of(grad)
    run_fft(table.fft_conv2d_grad_input, conv, grad, weight, packed, bias, grad_x, None, None, table)


def channel_sum(cnp.ndarray grad not None, cnp.ndarray sums not None):
    """Sums over every axis but the channels."""
    cdef const fc_table *table = table_of(grad)
    cdef fc_image source
    cdef fc_window window
    cdef int status
    image_of(grad, table, &source)
    window.batch, window.channels = cnp.PyArray_DIM(grad, 0), cnp.PyArray_DIM(grad, 1)
    window.out_h, window.out_w = cnp.PyArray_DIM(grad, 2), cnp.PyArray_DIM(grad, 3)
    cdef void *target = flat_out(sums, table)
    with nogil:
        status = table.channel_sum(&window, source, target)
    check(status)


def im2col(Window window not None, cnp.ndarray x not None, cnp.ndarray columns not None):
    """columns (N * out_h * out_w, kh * kw * C): every output pixel's taps, in the order of packed weights."""
    cdef const fc_table *table = table_of(x)
    cdef fc_image source
    cdef int status
    image_of(x, table, &source)
    cdef void *target = flat_out(columns, table)
    with nogil:
        status = table.im2col(&window.geometry, source, target)
    check(status)


def col2im(Window window not None, cnp.ndarray columns not None, cnp.ndarray x not None):
    """The adjoint of im2col: x is the sum of all columns' taps, each where im2col read it."""
    cdef const fc_table *table = table_of(x)
    cdef fc_image target
    cdef int status
    image_of(x, table, &target)
    cdef void *source = flat(columns, table)
    with nogil:
        status = table.col2im(&window.geometry, source, target)
    check(status)


# --- signals ------------------------------------------------------------------------------------------------

BOUNDARIES = {"fill": FC_FILL, "wrap": FC_WRAP, "symm": FC_SYMM}


cdef int planes_of(cnp.ndarray array, const fc_table *table, fc_image *image, ptrdiff_t batch, ptrdiff_t h,
                   ptrdiff_t w, bint written) except -1:
    """Describes an array (batch, h, w) whose pixels are adjacent in memory."""
    cdef const cnp.npy_intp *stride = cnp.PyArray_STRIDES(array)
    cdef ptrdiff_t size = table.element_size
    if (cnp.PyArray_NDIM(array) != 3 or cnp.PyArray_ITEMSIZE(array) != size or not cnp.PyArray_ISBEHAVED_RO(array)
            or cnp.PyArray_DIM(array, 0) != batch or cnp.PyArray_DIM(array, 1) != h or cnp.PyArray_DIM(array, 2) != w
            or (w > 1 and stride[2] != size) or (written and not cnp.PyArray_ISWRITEABLE(array))):
        raise TypeError("a filter needs aligned planes (batch, h, w) of the window's shape and one floating type")
    image.data = cnp.PyArray_DATA(array)
    image.image, image.row, image.pixel = stride[0] // size, stride[1] // size, 1
    return 0


def filter2d(Window window not None, cnp.ndarray x not None, cnp.ndarray weight not None, cnp.ndarray out not None,
             str boundary not None="fill", double fill=0):
    """Correlates planes x (batch, h, w) with weight (kh, kw), directly."""
    cdef const fc_table *table = table_of(x)
    cdef fc_boundary outside = fc_boundary(BOUNDARIES[boundary], fill)
    cdef const fc_window *w = &window.geometry
    cdef fc_image source, target
    cdef int status
    planes_of(x, table, &source, w.batch, w.h, w.w, False)
    planes_of(out, table, &target, w.batch, w.out_h, w.out_w, True)
    cdef void *taps = flat(weight, table)
    if cnp.PyArray_SIZE(weight) != w.kh * w.kw:
        raise TypeError("filter2d needs as many weights as the window has taps")
    with nogil:
        status = table.filter2d(w, &outside, source, taps, target)
    check(status)


def fft_filter2d(Window window not None, cnp.ndarray x not None, cnp.ndarray weight not None, cnp.ndarray out not None,
                 ptrdiff_t tile_y, ptrdiff_t tile_x, str boundary not None="fill", double fill=0):
    """The same at stride 1 by Fourier transforms of tile_y x tile_x."""
    cdef const fc_table *table = table_of(x)
    cdef fc_boundary outside = fc_boundary(BOUNDARIES[boundary], fill)
    cdef const fc_window *w = &window.geometry
    cdef fc_image source, target
    cdef int status
    planes_of(x, table, &source, w.batch, w.h, w.w, False)
    planes_of(out, table, &target, w.batch, w.out_h, w.out_w, True)
    cdef void *taps = flat(weight, table)
    if cnp.PyArray_SIZE(weight) != w.kh * w.kw or w.stride_y != 1 or w.stride_x != 1:
        raise TypeError("fft_filter2d needs as many weights as the window has taps, and stride 1")
    for tile, span in ((tile_y, (w.kh - 1) * w.dilation_y + 1), (tile_x, (w.kw - 1) * w.dilation_x + 1)):
        if tile < max(span, table.vector_length) or tile & (tile - 1):
            raise ValueError(f"fft_filter2d: no tile of {tile} for a vector of {table.vector_length} and {span} taps")
    with nogil:
        status = table.fft_filter2d(w, &outside, tile_y, tile_x, source, taps, target)
    check(status)


# --- fully connected -----------------------------------------------------------------------------------------

def linear(cnp.ndarray x not None, cnp.ndarray weight not None, cnp.ndarray bias, cnp.ndarray out not None,
           tuple clamp=None):
    """`clamp`: (least, greatest)."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t batch = cnp.PyArray_DIM(x, 0), n_in = cnp.PyArray_DIM(x, 1), outputs = cnp.PyArray_DIM(weight, 0)
    cdef void *source = flat(x, table)
    cdef void *weights = flat(weight, table)
    cdef void *target = flat_out(out, table)
    cdef fc_epilogue epilogue
    cdef int status
    epilogue_of(bias, False, None, clamp, table, NULL, &epilogue)
    with nogil:
        status = table.linear(source, weights, &epilogue, target, batch, n_in, outputs)
    check(status)


def linear_grad_input(cnp.ndarray grad not None, cnp.ndarray weight not None, cnp.ndarray grad_x not None):
    cdef const fc_table *table = table_of(grad)
    cdef ptrdiff_t batch = cnp.PyArray_DIM(grad, 0), n_in = cnp.PyArray_DIM(weight, 1)
    cdef ptrdiff_t outputs = cnp.PyArray_DIM(weight, 0)
    cdef void *given = flat(grad, table)
    cdef void *weights = flat(weight, table)
    cdef void *target = flat_out(grad_x, table)
    cdef int status
    with nogil:
        status = table.linear_grad_input(given, weights, target, batch, n_in, outputs)
    check(status)


def linear_grad_weight(cnp.ndarray x not None, cnp.ndarray grad not None, cnp.ndarray grad_weight not None):
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t batch = cnp.PyArray_DIM(x, 0), n_in = cnp.PyArray_DIM(x, 1), outputs = cnp.PyArray_DIM(grad, 1)
    cdef void *source = flat(x, table)
    cdef void *given = flat(grad, table)
    cdef void *target = flat_out(grad_weight, table)
    cdef int status
    with nogil:
        status = table.linear_grad_weight(source, given, target, batch, n_in, outputs)
    check(status)


# --- the processor -------------------------------------------------------------------------------------------

def fma_peak(dtype="float32", ptrdiff_t rounds=100_000):
    """Number of floating-point operations in `rounds` rounds of independent FMAs, done meanwhile: time the call."""
    cdef const fc_isa *isa = fc_active_isa()
    cdef const fc_table *table
    cdef double operations
    if isa == NULL:
        raise_unknown_isa()
    table = isa.f32 if dtype == "float32" else isa.f64
    with nogil:
        table.fma_peak(rounds, &operations)
    return operations


cdef extern from *:
    """
    #if defined(__clang__)
    #define FC_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FC_COMPILER "gcc " __VERSION__
    #else
    #define FC_COMPILER "unknown"
    #endif
    """
    const char *FC_COMPILER

COMPILER = FC_COMPILER.decode()


# --- warp --------------------------------------------------------------------------------------------------

def affine_warp(cnp.ndarray images not None, cnp.ndarray matrices not None, double fill, cnp.ndarray out not None):
    cdef const fc_table *table = table_of(images)
    cdef fc_image source, target
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(out)
    cdef int status
    image_of(images, table, &source)
    image_of(out, table, &target)
    if cnp.PyArray_TYPE(matrices) != cnp.NPY_FLOAT64 or not cnp.PyArray_ISCARRAY_RO(matrices):
        raise TypeError("affine_warp needs aligned, C-contiguous float64 matrices")
    cdef const double *maps = <const double *>cnp.PyArray_DATA(matrices)
    with nogil:
        status = table.affine_warp(source, maps, fill, target, shape[0], shape[2], shape[3], shape[1])
    check(status)


# --- activation --------------------------------------------------------------------------------------------

cdef extern from "numpy/arrayobject.h":
    cnp.ndarray PyArray_NewLikeArray(cnp.ndarray prototype, cnp.NPY_ORDER order, void *dtype, int subok)

ctypedef int (*update_kernel)(void *, const void *, void *const *, ptrdiff_t, const fc_update *) noexcept nogil


cdef bint is_dense(cnp.ndarray array) noexcept:
    """Whether the elements fill one stretch of memory, whatever the order of the axes."""
    if not cnp.PyArray_ISBEHAVED_RO(array):
        return False
    if cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_IS_F_CONTIGUOUS(array):
        return True
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(array)
    cdef const cnp.npy_intp *stride = cnp.PyArray_STRIDES(array)
    cdef int ndim = cnp.PyArray_NDIM(array)
    cdef cnp.npy_intp filled = cnp.PyArray_ITEMSIZE(array)
    cdef int _step, axis
    for _step in range(ndim):  # one axis a step at least, innermost first
        for axis in range(ndim):
            if shape[axis] > 1 and stride[axis] == filled:
                filled *= shape[axis]
    return filled == cnp.PyArray_ITEMSIZE(array) * cnp.PyArray_SIZE(array)


cdef bint same_layout(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int axis
    if cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(b):
        return False
    for axis in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, axis) != cnp.PyArray_DIM(b, axis):
            return False
        if cnp.PyArray_DIM(a, axis) > 1 and cnp.PyArray_STRIDE(a, axis) != cnp.PyArray_STRIDE(b, axis):
            return cnp.PyArray_SIZE(a) == 0 and cnp.PyArray_SIZE(b) == 0  # NumPy's strides of nothing vary
    return True


def dense(cnp.ndarray array not None):
    """`array` itself where its elements fill one stretch of memory, else a copy that does, axes in the same order."""
    return array if is_dense(array) else array.copy(order="K")


def dense_like(cnp.ndarray array not None, cnp.ndarray like not None):
    """`array` itself where it is laid out as the dense array `like` of the same shape is, else a copy that is."""
    if same_layout(array, like) and is_dense(array):
        return array
    if (cnp.PyArray_NDIM(like) == 4 and cnp.PyArray_TYPE(array) == cnp.PyArray_TYPE(like) and is_channels_last(like)
            and not is_channels_last(array)):
        return channels_last(array)
    cdef cnp.ndarray copy = PyArray_NewLikeArray(like, cnp.NPY_KEEPORDER, NULL, 0)
    copy[...] = array
    return copy


cdef void *dense_data(cnp.ndarray array, const fc_table *table, ptrdiff_t n) except? NULL:
    if not is_dense(array) or cnp.PyArray_ITEMSIZE(array) != table.element_size or cnp.PyArray_SIZE(array) != n:
        raise TypeError("a kernel needs aligned, dense arrays of one size and floating type")
    return cnp.PyArray_DATA(array)


cdef void *dense_target(cnp.ndarray array, const fc_table *table, ptrdiff_t n) except? NULL:
    if not cnp.PyArray_ISWRITEABLE(array):
        raise TypeError("a kernel writes only to writable arrays")
    return dense_data(array, table, n)


cdef extern from *:
    """
    #define FC_NAME(name) #name,
    static const char *const fc_activation_names[] = {FC_ACTIVATIONS(FC_NAME) NULL};
    #undef FC_NAME
    """
    const char *const *fc_activation_names

cdef dict activation_numbers = {}
while fc_activation_names[len(activation_numbers)] != NULL:
    activation_numbers[fc_activation_names[len(activation_numbers)].decode()] = len(activation_numbers)
ACTIVATIONS = tuple(activation_numbers)


def activation(str name not None, cnp.ndarray x not None, cnp.ndarray out=None, double a=0, double b=0, double c=0):
    """The activation `name` of FC_ACTIVATIONS, element by element, in `out` or a new array, which is returned."""
    cdef const fc_table *table = table_of(x)
    cdef fc_activation function = fc_activation(activation_numbers[name], a, b, c)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x)
    cdef void *source = dense_data(x, table, n)
    if out is None:
        out = empty_like(x)
    cdef void *target = dense_target(out, table, n)
    cdef int status
    with nogil:
        status = table.activation(&function, source, target, n)
    check(status)
    return out


def activation_grad(str name not None, cnp.ndarray kept not None, cnp.ndarray grad not None,
                    cnp.ndarray grad_x not None, double a=0, double b=0, double c=0):
    """Its gradient, from the result of relu, sigmoid, tanh and scaled_tanh and from the input of all others."""
    cdef const fc_table *table = table_of(kept)
    cdef fc_activation function = fc_activation(activation_numbers[name], a, b, c)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(kept)
    cdef void *source = dense_data(kept, table, n)
    cdef void *given = dense_data(grad, table, n)
    cdef void *target = dense_target(grad_x, table, n)
    cdef int status
    with nogil:
        status = table.activation_grad(&function, source, given, target, n)
    check(status)


def dropout(cnp.ndarray x not None, cnp.ndarray out not None, ptrdiff_t matrices, ptrdiff_t rows, uint64_t key,
            uint32_t threshold, double scale, double shift, double dropped):
    """Drop what draws a number below `threshold`; the rows of one of `matrices` lose the same columns."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x)
    cdef fc_dropout options = fc_dropout(key, threshold, scale, shift, dropped)
    cdef void *source = flat(x, table)
    cdef void *target = flat_out(out, table)
    cdef int status
    if matrices < 1 or rows < 1 or n % (matrices * rows) or cnp.PyArray_SIZE(out) != n:
        raise TypeError("dropout needs two arrays of so many rows")
    with nogil:
        status = table.dropout(source, target, matrices, rows, n // (matrices * rows), &options)
    check(status)


def prelu(cnp.ndarray x not None, cnp.ndarray slope not None, cnp.ndarray out not None):
    """x above 0, elsewhere x times a slope; of several, as many as the innermost axis of memory has elements."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x), channels = cnp.PyArray_SIZE(slope)
    cdef void *slopes = flat(slope, table)
    cdef void *source = dense_data(x, table, n)
    cdef void *target = dense_target(out, table, n)
    cdef int status
    if channels < 1:
        raise TypeError("prelu needs at least one slope")
    with nogil:
        status = table.prelu(source, slopes, target, n, channels)
    check(status)


def prelu_grad(cnp.ndarray x not None, cnp.ndarray slope not None, cnp.ndarray grad not None, cnp.ndarray grad_x,
               cnp.ndarray grad_slope):
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x), channels = cnp.PyArray_SIZE(slope)
    cdef void *slopes = flat(slope, table)
    cdef void *source = dense_data(x, table, n)
    cdef void *given = dense_data(grad, table, n)
    cdef void *target = NULL if grad_x is None else dense_target(grad_x, table, n)
    cdef void *target_slope = NULL if grad_slope is None else dense_target(grad_slope, table, channels)
    cdef int status
    if channels < 1:
        raise TypeError("prelu needs at least one slope")
    with nogil:
        status = table.prelu_grad(source, slopes, given, target, target_slope, n, channels)
    check(status)


# --- softmax and loss --------------------------------------------------------------------------------------

ctypedef int (*rows_kernel)(const void *x, void *out, ptrdiff_t rows, ptrdiff_t n) noexcept nogil
ctypedef int (*rows_grad_kernel)(const void *out, const void *grad, void *grad_x, ptrdiff_t rows,
                                 ptrdiff_t n) noexcept nogil


cdef int rows_of(cnp.ndarray array, cnp.ndarray like, ptrdiff_t *rows, ptrdiff_t *n) except -1:
    """The sizes of a 2-d array; both arrays must have them."""
    if cnp.PyArray_NDIM(array) != 2 or cnp.PyArray_NDIM(like) != 2:
        raise TypeError("a kernel on rows needs 2-d arrays")
    rows[0] = cnp.PyArray_DIM(array, 0)
    n[0] = cnp.PyArray_DIM(array, 1)
    if cnp.PyArray_DIM(like, 0) != rows[0] or cnp.PyArray_DIM(like, 1) != n[0]:
        raise TypeError("a kernel on rows needs arrays of one shape")
    return 0


cdef int run_rows(rows_kernel kernel, cnp.ndarray x, cnp.ndarray out, const fc_table *table) except -1:
    cdef ptrdiff_t rows, n
    cdef int status
    rows_of(x, out, &rows, &n)
    cdef void *source = flat(x, table)
    cdef void *target = flat_out(out, table)
    with nogil:
        status = kernel(source, target, rows, n)
    return check(status)


cdef int run_rows_grad(rows_grad_kernel kernel, cnp.ndarray out, cnp.ndarray grad, cnp.ndarray grad_x,
                       const fc_table *table) except -1:
    cdef ptrdiff_t rows, n
    cdef int status
    rows_of(out, grad, &rows, &n)
    rows_of(out, grad_x, &rows, &n)
    cdef void *value = flat(out, table)
    cdef void *given = flat(grad, table)
    cdef void *target = flat_out(grad_x, table)
    with nogil:
        status = kernel(value, given, target, rows, n)
    return check(status)


def softmax(cnp.ndarray x not None, cnp.ndarray out not None):
    cdef const fc_table *table = table_of(x)
    run_rows(table.softmax, x, out, table)


def softmax_grad(cnp.ndarray out not None, cnp.ndarray grad not None, cnp.ndarray grad_x not None):
    cdef const fc_table *table = table_of(out)
    run_rows_grad(table.softmax_grad, out, grad, grad_x, table)


def log_softmax(cnp.ndarray x not None, cnp.ndarray out not None):
    cdef const fc_table *table = table_of(x)
    run_rows(table.log_softmax, x, out, table)


def log_softmax_grad(cnp.ndarray out not None, cnp.ndarray grad not None, cnp.ndarray grad_x not None):
    cdef const fc_table *table = table_of(out)
    run_rows_grad(table.log_softmax_grad, out, grad, grad_x, table)


cdef const int64_t *labels_of(cnp.ndarray target, ptrdiff_t rows) except NULL:
    if (cnp.PyArray_TYPE(target) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY_RO(target)
            or cnp.PyArray_SIZE(target) != rows):
        raise TypeError("a kernel needs aligned, C-contiguous int64 labels, one a row")
    return <const int64_t *>cnp.PyArray_DATA(target)


cdef void *weights_of(cnp.ndarray weight, const fc_table *table, ptrdiff_t classes) except? NULL:
    if weight is None:
        return NULL
    if cnp.PyArray_SIZE(weight) != classes:
        raise TypeError("a kernel needs one weight a class")
    return flat(weight, table)


def check_target(cnp.ndarray x not None, cnp.ndarray target not None, cnp.ndarray weight, int64_t ignore_index):
    """The sum of the weights of all labels but `ignore_index`, and the first row whose label is no class, or -1."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t rows, classes, bad
    cdef double total
    rows_of(x, x, &rows, &classes)
    cdef const int64_t *labels = labels_of(target, rows)
    cdef void *weights = weights_of(weight, table, classes)
    with nogil:
        table.check_target(labels, weights, rows, classes, ignore_index, &total, &bad)
    return total, bad


def cross_entropy(cnp.ndarray x not None, cnp.ndarray target not None, cnp.ndarray weight, int64_t ignore_index,
                  double smoothing, double scale, cnp.ndarray losses not None, cnp.ndarray grad):
    """The sum of losses; `losses` gets each, `grad`, unless None, the gradient of `scale` times the sum."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t rows, classes
    cdef double total
    cdef int status
    rows_of(x, x if grad is None else grad, &rows, &classes)
    cdef void *source = flat(x, table)
    cdef const int64_t *labels = labels_of(target, rows)
    cdef void *weights = weights_of(weight, table, classes)
    cdef void *each = dense_target(losses, table, rows)
    cdef void *gradient = NULL if grad is None else flat_out(grad, table)
    with nogil:
        status = table.cross_entropy(source, labels, weights, each, gradient, rows, classes, ignore_index, smoothing,
                                     scale, &total)
    check(status)
    return total


# --- normalisation -----------------------------------------------------------------------------------------

cdef ptrdiff_t pixel_pitch(cnp.ndarray array) except -1:
    """Elements from one pixel of a channels-last array to the next, 0 where they are not all equally far apart."""
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(array)
    cdef const cnp.npy_intp *stride = cnp.PyArray_STRIDES(array)
    cdef cnp.npy_intp size = cnp.PyArray_ITEMSIZE(array), pitch = shape[1] * size, inside = 1
    cdef int axis
    cdef bint found = False
    for axis in (3, 2, 0):
        if shape[axis] != 1:
            if not found:
                pitch = stride[axis]
                found = True
            elif stride[axis] != pitch * inside:
                return 0
            inside *= shape[axis]
    return pitch // size


def pixels(cnp.ndarray array not None):
    """`array` (N, C, H, W) itself where its channels are adjacent and its pixels equally far apart, else a copy.

    Few channels are copied from between others too, so that the order of sums does not depend on strides.
    """
    cdef cnp.ndarray last = channels_last(array)
    cdef ptrdiff_t channels = cnp.PyArray_DIM(last, 1), pitch = pixel_pitch(last)
    if pitch == channels or (pitch > channels and channels >= FC_NORM_NARROW):
        return last
    cdef cnp.ndarray copy = new_channels_last(cnp.PyArray_DIMS(last), cnp.PyArray_TYPE(last))
    copy[...] = last
    return copy


cdef int norm_of(cnp.ndarray x, const fc_table *table, ptrdiff_t groups, bint per_image, double eps,
                 fc_norm *norm) except -1:
    """Describes data (N, C, H, W) whose images or, unless `per_image`, whole batch share moments."""
    cdef fc_image image
    image_of(x, table, &image)
    cdef const cnp.npy_intp *shape = cnp.PyArray_DIMS(x)
    norm.segments = shape[0] if per_image else 1
    norm.rows = (1 if per_image else shape[0]) * shape[2] * shape[3]
    norm.channels, norm.groups, norm.eps = shape[1], groups, eps
    norm.x_pitch = norm.grad_pitch = pixel_pitch(x)
    if norm.x_pitch < norm.channels or groups < 1 or norm.channels % groups:
        raise TypeError("normalisation needs pixels that are equally far apart, and groups of equal size")
    return 0


cdef double *moments_of(cnp.ndarray array, const fc_norm *norm) except? NULL:
    if (cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT64 or not cnp.PyArray_ISCARRAY_RO(array)
            or cnp.PyArray_SIZE(array) != norm.segments * norm.groups):
        raise TypeError("normalisation needs C-contiguous float64 moments, one for each segment and group")
    return <double *>cnp.PyArray_DATA(array)


cdef void *per_channel(cnp.ndarray array, const fc_table *table, const fc_norm *norm) except? NULL:
    if array is None:
        return NULL
    if cnp.PyArray_SIZE(array) != norm.channels:
        raise TypeError("normalisation needs one parameter a channel")
    return flat(array, table)


def norm_moments(cnp.ndarray x not None, cnp.ndarray mean not None, cnp.ndarray var not None, ptrdiff_t groups,
                 bint per_image):
    """Mean and biased variance (float64) of each group of channels, of each image or of the batch."""
    cdef const fc_table *table = table_of(x)
    cdef fc_norm norm
    cdef int status
    norm_of(x, table, groups, per_image, 0, &norm)
    cdef double *to_mean = moments_of(mean, &norm)
    cdef double *to_var = moments_of(var, &norm)
    cdef void *source = cnp.PyArray_DATA(x)
    with nogil:
        status = table.norm_moments(&norm, source, to_mean, to_var)
    check(status)


def norm(cnp.ndarray x not None, cnp.ndarray mean not None, cnp.ndarray var not None, cnp.ndarray weight,
         cnp.ndarray bias, cnp.ndarray out not None, ptrdiff_t groups, bint per_image, double eps,
         cnp.ndarray residual=None, tuple clamp=None):
    """(x - mean) / sqrt(var + eps) * weight + bias, + residual, clamped; both arrays dense and channels last."""
    cdef const fc_table *table = table_of(x)
    cdef fc_norm sizes
    cdef int status
    norm_of(x, table, groups, per_image, eps, &sizes)
    cdef double *means = moments_of(mean, &sizes)
    cdef double *variances = moments_of(var, &sizes)
    cdef void *scale = per_channel(weight, table, &sizes)
    cdef fc_epilogue after = after_norm(bias, residual, clamp, x, table, &sizes)
    cdef void *source = cnp.PyArray_DATA(x)
    cdef void *target = dense_pixels(out, x, table, True)
    with nogil:
        status = table.norm(&sizes, source, means, variances, scale, &after, target)
    check(status)


cdef fc_epilogue after_norm(cnp.ndarray bias, cnp.ndarray residual, tuple clamp, cnp.ndarray x, const fc_table *table,
                            const fc_norm *norm) except *:
    cdef fc_epilogue after
    after.bias = per_channel(bias, table, norm)
    after.clamp = clamp is not None
    after.low, after.high = clamp if clamp is not None else (0, 0)
    after.add = NULL if residual is None else dense_pixels(residual, x, table, False)
    return after


cdef void *dense_pixels(cnp.ndarray array, cnp.ndarray x, const fc_table *table, bint written) except? NULL:
    """The data of a dense channels-last array of the shape of x."""
    cdef fc_image image
    image_of(array, table, &image)
    if (not cnp.PyArray_SAMESHAPE(array, x) or (written and not cnp.PyArray_ISWRITEABLE(array))
            or (cnp.PyArray_SIZE(array) > 0 and pixel_pitch(array) != cnp.PyArray_DIM(array, 1))):
        raise TypeError("normalisation needs dense channels-last arrays of the shape of x, writable as results")
    return cnp.PyArray_DATA(array)


def norm_grad(cnp.ndarray x not None, cnp.ndarray grad not None, cnp.ndarray mean not None, cnp.ndarray var not None,
              cnp.ndarray weight, cnp.ndarray grad_x, cnp.ndarray grad_weight, cnp.ndarray grad_bias,
              ptrdiff_t groups, bint per_image, double eps, bint fixed, cnp.ndarray bias=None, tuple clamp=None,
              cnp.ndarray out=None, cnp.ndarray masked=None):
    """Gradients of `norm`; those that are None are not computed. `fixed`: the moments did not come from x.

    After a clamp `bias` is needed. Where it followed a residual or fixed moments, it is found in the result `out`, and
    `masked` gets the gradient of what was clamped.
    """
    cdef const fc_table *table = table_of(x)
    cdef fc_norm sizes
    cdef fc_image image
    cdef int status
    norm_of(x, table, groups, per_image, eps, &sizes)
    image_of(grad, table, &image)
    sizes.grad_pitch = pixel_pitch(grad)
    if not cnp.PyArray_SAMESHAPE(grad, x) or sizes.grad_pitch < sizes.channels:
        raise TypeError("normalisation needs a gradient of the shape of x whose pixels are equally far apart")
    cdef double *means = moments_of(mean, &sizes)
    cdef double *variances = moments_of(var, &sizes)
    cdef void *scale = per_channel(weight, table, &sizes)
    cdef void *to_weight = per_channel(grad_weight, table, &sizes)
    cdef void *to_bias = per_channel(grad_bias, table, &sizes)
    cdef fc_epilogue after = after_norm(bias, None, clamp, x, table, &sizes)
    if (out is None) != (masked is None) or (fixed and clamp is not None and masked is None):
        raise TypeError("a clamp after fixed moments needs the result and an array for the masked gradient")
    cdef void *kept = NULL if out is None else dense_pixels(out, x, table, False)
    cdef void *free = NULL if masked is None else dense_pixels(masked, x, table, True)
    cdef void *target = NULL if grad_x is None else dense_pixels(grad_x, x, table, True)
    cdef void *source = cnp.PyArray_DATA(x)
    cdef void *given = cnp.PyArray_DATA(grad)
    with nogil:
        status = table.norm_grad(&sizes, source, given, means, variances, scale, &after, fixed, kept, free, target,
                                 to_weight, to_bias)
    check(status)


cdef void *row_parameter(cnp.ndarray array, const fc_table *table, ptrdiff_t n) except? NULL:
    if array is None:
        return NULL
    if cnp.PyArray_SIZE(array) != n:
        raise TypeError("layer_norm needs one parameter for each element of a row")
    return flat(array, table)


cdef double *row_moments(cnp.ndarray array, ptrdiff_t rows) except? NULL:
    if (cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT64 or not cnp.PyArray_ISCARRAY_RO(array)
            or cnp.PyArray_SIZE(array) != rows):
        raise TypeError("layer_norm needs C-contiguous float64 moments, one for each row")
    return <double *>cnp.PyArray_DATA(array)


def layer_norm(cnp.ndarray x not None, cnp.ndarray weight, cnp.ndarray bias, cnp.ndarray out not None,
               cnp.ndarray mean not None, cnp.ndarray deviation not None, double eps):
    """Rows (rows, n) by their own mean and variance; `deviation` gets 1 / sqrt(var + eps)."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t rows, n
    cdef int status
    rows_of(x, out, &rows, &n)
    cdef void *source = flat(x, table)
    cdef void *scale = row_parameter(weight, table, n)
    cdef void *shift = row_parameter(bias, table, n)
    cdef void *target = flat_out(out, table)
    cdef double *means = row_moments(mean, rows)
    cdef double *deviations = row_moments(deviation, rows)
    with nogil:
        status = table.layer_norm(source, scale, shift, target, means, deviations, rows, n, eps)
    check(status)


def layer_norm_grad(cnp.ndarray x not None, cnp.ndarray grad not None, cnp.ndarray weight, cnp.ndarray mean not None,
                    cnp.ndarray deviation not None, cnp.ndarray grad_x, cnp.ndarray grad_weight,
                    cnp.ndarray grad_bias):
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t rows, n
    cdef int status
    rows_of(x, grad, &rows, &n)
    cdef void *source = flat(x, table)
    cdef void *given = flat(grad, table)
    cdef void *scale = row_parameter(weight, table, n)
    cdef void *to_weight = row_parameter(grad_weight, table, n)
    cdef void *to_bias = row_parameter(grad_bias, table, n)
    cdef void *target = NULL
    cdef double *means = row_moments(mean, rows)
    cdef double *deviations = row_moments(deviation, rows)
    if grad_x is not None:
        rows_of(x, grad_x, &rows, &n)
        target = flat_out(grad_x, table)
    with nogil:
        status = table.layer_norm_grad(source, given, scale, means, deviations, target, to_weight, to_bias, rows, n)
    check(status)


cdef fc_lrn lrn_of(cnp.ndarray x, ptrdiff_t size, double alpha, double beta, double k) except *:
    """For an array whose innermost axis has the channels."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    if ndim < 1 or size < 1 or cnp.PyArray_SIZE(x) == 0:
        raise TypeError("local_response_norm needs channels and a size of at least 1")
    cdef ptrdiff_t channels = cnp.PyArray_DIM(x, ndim - 1)
    return fc_lrn(cnp.PyArray_SIZE(x) // channels, channels, size, alpha, beta, k)


def local_response_norm(cnp.ndarray x not None, cnp.ndarray out not None, ptrdiff_t size, double alpha, double beta,
                        double k):
    """x (..., C) and out in C order."""
    cdef const fc_table *table = table_of(x)
    cdef fc_lrn sizes = lrn_of(x, size, alpha, beta, k)
    cdef void *source = flat(x, table)
    cdef void *target = flat_out(out, table)
    cdef int status
    if not cnp.PyArray_SAMESHAPE(x, out):
        raise TypeError("local_response_norm needs arrays of one shape")
    with nogil:
        status = table.local_response_norm(&sizes, source, target)
    check(status)


def local_response_norm_grad(cnp.ndarray x not None, cnp.ndarray grad not None, cnp.ndarray grad_x not None,
                             ptrdiff_t size, double alpha, double beta, double k):
    cdef const fc_table *table = table_of(x)
    cdef fc_lrn sizes = lrn_of(x, size, alpha, beta, k)
    cdef void *source = flat(x, table)
    cdef void *given = flat(grad, table)
    cdef void *target = flat_out(grad_x, table)
    cdef int status
    if not cnp.PyArray_SAMESHAPE(x, grad) or not cnp.PyArray_SAMESHAPE(x, grad_x):
        raise TypeError("local_response_norm needs arrays of one shape")
    with nogil:
        status = table.local_response_norm_grad(&sizes, source, given, target)
    check(status)


# --- pooling -----------------------------------------------------------------------------------------------

cdef int pool_image(cnp.ndarray array, const fc_table *table, fc_image *image, const fc_window *window, bint output,
                    bint written) except -1:
    """Describes an array with the shape of the window's input or output."""
    cdef ptrdiff_t h = window.out_h if output else window.h
    cdef ptrdiff_t w = window.out_w if output else window.w
    image_of(array, table, image)
    if (cnp.PyArray_DIM(array, 0) != window.batch or cnp.PyArray_DIM(array, 1) != window.channels
            or cnp.PyArray_DIM(array, 2) != h or cnp.PyArray_DIM(array, 3) != w):
        raise TypeError("a pooling kernel needs arrays of the window's shapes")
    if written and not cnp.PyArray_ISWRITEABLE(array):
        raise TypeError("a kernel writes only to writable arrays")
    return 0


cdef uint8_t *winners_of(cnp.ndarray winners, Window window) except? NULL:
    if cnp.PyArray_TYPE(winners) != cnp.NPY_UINT8 or not cnp.PyArray_ISCARRAY(winners) or (
            cnp.PyArray_SIZE(winners) != window.winner_bytes):
        raise TypeError("max pooling needs window.winner_bytes bytes for the winners")
    return <uint8_t *>cnp.PyArray_DATA(winners)


def max_pool2d(Window window not None, cnp.ndarray x not None, cnp.ndarray out not None, cnp.ndarray winners,
               bint relu=False):
    """`winners` (window.winner_bytes bytes) is None where no gradient is wanted; `relu`: of the maxima."""
    cdef const fc_table *table = table_of(x)
    cdef fc_image source, target
    cdef int status
    pool_image(x, table, &source, &window.geometry, False, False)
    pool_image(out, table, &target, &window.geometry, True, True)
    cdef uint8_t *kept = NULL if winners is None else winners_of(winners, window)
    with nogil:
        status = table.max_pool2d(&window.geometry, source, target, kept, relu)
    check(status)


def max_pool2d_grad(Window window not None, cnp.ndarray grad not None, cnp.ndarray winners not None,
                    cnp.ndarray grad_x not None):
    cdef const fc_table *table = table_of(grad)
    cdef fc_image source, target
    cdef int status
    pool_image(grad, table, &source, &window.geometry, True, False)
    pool_image(grad_x, table, &target, &window.geometry, False, True)
    cdef uint8_t *kept = winners_of(winners, window)
    with nogil:
        status = table.max_pool2d_grad(&window.geometry, source, kept, target)
    check(status)


def avg_pool2d(Window window not None, cnp.ndarray x not None, cnp.ndarray out not None, bint count_include_pad,
               ptrdiff_t divisor):
    """`divisor` 0: the number of taps that count."""
    cdef const fc_table *table = table_of(x)
    cdef fc_image source, target
    cdef int status
    pool_image(x, table, &source, &window.geometry, False, False)
    pool_image(out, table, &target, &window.geometry, True, True)
    with nogil:
        status = table.avg_pool2d(&window.geometry, source, target, count_include_pad, divisor)
    check(status)


def avg_pool2d_grad(Window window not None, cnp.ndarray grad not None, cnp.ndarray grad_x not None,
                    bint count_include_pad, ptrdiff_t divisor):
    cdef const fc_table *table = table_of(grad)
    cdef fc_image source, target
    cdef int status
    pool_image(grad, table, &source, &window.geometry, True, False)
    pool_image(grad_x, table, &target, &window.geometry, False, True)
    with nogil:
        status = table.avg_pool2d_grad(&window.geometry, source, target, count_include_pad, divisor)
    check(status)


cdef void *plain_data(cnp.ndarray array, int kind) except? NULL:
    if not cnp.PyArray_ISCARRAY_RO(array) or cnp.PyArray_TYPE(array) != kind:
        raise TypeError("resample needs a matrix of contiguous int64 and float64 arrays")
    return cnp.PyArray_DATA(array)


def resample(cnp.ndarray x not None, cnp.ndarray out not None, ptrdiff_t outer, ptrdiff_t inner,
             cnp.ndarray start not None, cnp.ndarray index not None, cnp.ndarray weight not None, ptrdiff_t columns):
    """A sparse matrix of `columns` columns, as `_resample.Matrix` makes them, times the middle axis of `x`."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t rows = cnp.PyArray_SIZE(start) - 1
    cdef int status
    cdef const int64_t *starts = <const int64_t *>plain_data(start, cnp.NPY_INT64)
    cdef const int64_t *indices = <const int64_t *>plain_data(index, cnp.NPY_INT64)
    cdef const double *weights = <const double *>plain_data(weight, cnp.NPY_FLOAT64)
    cdef void *source = flat(x, table)
    cdef void *target = flat_out(out, table)
    if (rows < 1 or cnp.PyArray_SIZE(index) != starts[rows] or cnp.PyArray_SIZE(weight) != starts[rows]
            or cnp.PyArray_SIZE(x) != outer * columns * inner or cnp.PyArray_SIZE(out) != outer * rows * inner):
        raise TypeError("resample needs arrays of the sizes that the matrix says")
    with nogil:
        status = table.resample(source, target, outer, columns, rows, inner, starts, indices, weights)
    check(status)


# --- optimisation ------------------------------------------------------------------------------------------

def optim_update(str rule not None, cnp.ndarray parameter not None, cnp.ndarray grad not None, tuple state not None, *,
                 double lr, double weight_decay=0, double momentum=0, double fresh=1, double beta1=0, double beta2=0,
                 double shrink=1, double correction=1, double eps=0, bint nesterov=False, bint first=False,
                 bint maximize=False):
    """One step by a rule ("sgd", "adam", ...) on `parameter` and the arrays of `state`; None: it goes without."""
    cdef const fc_table *table = table_of(parameter)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(parameter)
    cdef fc_update options = fc_update(lr, weight_decay, momentum, fresh, beta1, beta2, shrink, correction, eps,
                                       nesterov, first, maximize)
    cdef update_kernel kernel
    cdef int kept, needed  # arrays of state: all that the rule knows, and the first ones that it cannot go without
    if rule == "sgd":
        kernel, kept, needed = table.sgd_update, 1, 0
    elif rule == "adam":
        kernel, kept, needed = table.adam_update, 3, 2
    elif rule == "rmsprop":
        kernel, kept, needed = table.rmsprop_update, 3, 1
    elif rule == "adagrad":
        kernel, kept, needed = table.adagrad_update, 1, 1
    elif rule == "adadelta":
        kernel, kept, needed = table.adadelta_update, 2, 2
    else:
        raise ValueError(f"no rule {rule!r}")
    cdef void *arrays[3]
    cdef cnp.ndarray array
    cdef int i
    for i in range(3):
        arrays[i] = NULL
    if len(state) != kept or any(state[i] is None for i in range(needed)) or not same_layout(parameter, grad):
        raise TypeError(f"{rule} needs a gradient of the parameter's layout and {kept} arrays of state")
    for i in range(kept):
        array = state[i]
        if array is not None:
            if not same_layout(parameter, array):
                raise TypeError(f"{rule} needs state of the parameter's layout")
            arrays[i] = dense_target(array, table, n)
    cdef void *target = dense_target(parameter, table, n)
    cdef void *given = dense_data(grad, table, n)
    cdef int status
    with nogil:
        status = kernel(target, given, arrays, n, &options)
    check(status)


def sum_squares(cnp.ndarray x not None):
    """The sum of the squares of a dense array's elements."""
    cdef const fc_table *table = table_of(x)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x)
    cdef void *source = dense_data(x, table, n)
    cdef double total
    cdef int status
    with nogil:
        status = table.sum_squares(source, n, &total)
    check(status)
    return total
