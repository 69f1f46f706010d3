"""Every operation as a function of Tensors, arrays or nested lists. Importing this gives Tensor its operators."""

from fastconv.functional import activation, conv, elementwise, loss, operators, pool, reduce, shape
from fastconv.functional import linear as linear_functions
from fastconv.functional.activation import *  # noqa: F403
from fastconv.functional.conv import *  # noqa: F403
from fastconv.functional.elementwise import *  # noqa: F403
from fastconv.functional.linear import *  # noqa: F403
from fastconv.functional.loss import *  # noqa: F403
from fastconv.functional.pool import *  # noqa: F403
from fastconv.functional.reduce import *  # noqa: F403
from fastconv.functional.shape import *  # noqa: F403

__all__ = [
    *activation.__all__,
    *conv.__all__,
    *elementwise.__all__,
    *linear_functions.__all__,
    *loss.__all__,
    *pool.__all__,
    *reduce.__all__,
    *shape.__all__,
]

operators.install()
