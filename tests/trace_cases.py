"""A call of every operation, for tests of what must hold for all: shapes of the arrays, then the other arguments.

An axis of length N, and no other axis, is the batch; an array whose dtype matters is written ``(shape, dtype)``.
"""

N = 7
IMAGE, ROWS = (N, 4, 6, 6), (N, 8)
LABELS = ((N,), "int64")

CASES = {
    "abs": ([ROWS], {}),
    "add": ([IMAGE, (4, 1, 1)], {}),
    "amax": ([ROWS], {"dim": 1}),
    "amin": ([ROWS], {"dim": 1, "keepdim": True}),
    "argmax": ([ROWS], {"dim": 1}),
    "argmin": ([ROWS], {"dim": 1, "keepdim": True}),
    "avg_pool2d": ([IMAGE], {"kernel_size": 2}),
    "cat": ([[IMAGE, IMAGE]], {"dim": 1}),
    "clone": ([ROWS], {}),
    "conv2d": ([IMAGE, (8, 2, 3, 3), (8,)], {"padding": 1, "stride": 2, "groups": 2}),
    "cross_entropy": ([ROWS, LABELS], {}),
    "div": ([ROWS], {"other": 2}),
    "dropout": ([ROWS], {"training": False}),
    "eq": ([ROWS], {"other": 0}),
    "exp": ([ROWS], {}),
    "flatten": ([IMAGE], {"start_dim": 1}),
    "ge": ([ROWS], {"other": 0}),
    "getitem": ([IMAGE], {"index": (slice(None), 1, ..., None)}),
    "gt": ([ROWS, ROWS], {}),
    "le": ([ROWS], {"other": 0}),
    "linear": ([ROWS, (5, 8), (5,)], {}),
    "log": ([ROWS], {}),
    "log_softmax": ([ROWS], {"dim": 1}),
    "lt": ([ROWS], {"other": 0}),
    "matmul": ([ROWS, (8, 5)], {}),
    "max": ([ROWS], {"dim": 1}),
    "max_pool2d": ([IMAGE], {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    "mean": ([IMAGE], {"dim": (2, 3)}),
    "min": ([ROWS], {"dim": 1, "keepdim": True}),
    "mul": ([ROWS, (1, 8)], {}),
    "ne": ([ROWS], {"other": 0}),
    "neg": ([ROWS], {}),
    "permute": ([IMAGE], {"dims": (0, 2, 3, 1)}),
    "pow": ([ROWS], {"exponent": 2}),
    "relu": ([IMAGE], {}),
    "reshape": ([IMAGE], {"shape": (-1, 9)}),
    "sigmoid": ([ROWS], {}),
    "softmax": ([ROWS], {}),
    "sqrt": ([ROWS], {}),
    "squeeze": ([(N, 1, 3)], {}),
    "stack": ([[ROWS, ROWS]], {"dim": 1}),
    "sub": ([ROWS, ROWS], {}),
    "sum": ([IMAGE], {"dim": 1}),
    "tanh": ([ROWS], {}),
    "to": ([ROWS], {"dtype": "float64"}),
    "transpose": ([IMAGE], {"dim0": 1, "dim1": 2}),
    "unsqueeze": ([ROWS], {"dim": 1}),
}
