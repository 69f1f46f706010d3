"""Every operation as a function of Tensors, arrays or nested lists. Importing this gives Tensor its operators."""

from fastconv.functional import elementwise, operators, reduce, shape
from fastconv.functional.elementwise import *  # noqa: F403
from fastconv.functional.reduce import *  # noqa: F403
from fastconv.functional.shape import *  # noqa: F403

__all__ = [*elementwise.__all__, *reduce.__all__, *shape.__all__]

operators.install()
