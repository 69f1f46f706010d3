"""The slow twin of every function, in NumPy, to read and to test against.

A function ``f(*arrays, **options)`` takes and returns arrays. Its gradient ``f_grad(grad, *arrays, **options)``
takes the gradient of the result and returns one array for each array that has one, a tuple where there are several.
"""

from fastconv.reference import (
    activation,
    adaptive,
    conv,
    conv_transpose,
    elementwise,
    loss,
    norm,
    padding,
    patches,
    pool,
    rearrange,
    reduce,
    regression,
    resize,
    shape,
    signal,
    warp,
    weighing_pool,
)
from fastconv.reference import dropout as dropout_stem
from fastconv.reference import linear as linear_twins
from fastconv.reference.activation import *  # noqa: F403
from fastconv.reference.adaptive import *  # noqa: F403
from fastconv.reference.conv import *  # noqa: F403
from fastconv.reference.conv_transpose import *  # noqa: F403
from fastconv.reference.dropout import *  # noqa: F403
from fastconv.reference.elementwise import *  # noqa: F403
from fastconv.reference.linear import *  # noqa: F403
from fastconv.reference.loss import *  # noqa: F403
from fastconv.reference.norm import *  # noqa: F403
from fastconv.reference.padding import *  # noqa: F403
from fastconv.reference.patches import *  # noqa: F403
from fastconv.reference.pool import *  # noqa: F403
from fastconv.reference.rearrange import *  # noqa: F403
from fastconv.reference.reduce import *  # noqa: F403
from fastconv.reference.regression import *  # noqa: F403
from fastconv.reference.resize import *  # noqa: F403
from fastconv.reference.shape import *  # noqa: F403
from fastconv.reference.signal import *  # noqa: F403
from fastconv.reference.warp import *  # noqa: F403
from fastconv.reference.weighing_pool import *  # noqa: F403

__all__ = [
    *activation.__all__,
    *adaptive.__all__,
    *conv.__all__,
    *conv_transpose.__all__,
    *dropout_stem.__all__,
    *elementwise.__all__,
    *linear_twins.__all__,
    *loss.__all__,
    *padding.__all__,
    *norm.__all__,
    *patches.__all__,
    *pool.__all__,
    *rearrange.__all__,
    *reduce.__all__,
    *regression.__all__,
    *resize.__all__,
    *shape.__all__,
    *signal.__all__,
    *warp.__all__,
    *weighing_pool.__all__,
]
