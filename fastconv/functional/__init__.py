"""Every operation as a function of Tensors, arrays or nested lists. Importing this gives Tensor its operators."""

from fastconv.functional import (
    activation,
    adaptive,
    conv,
    conv_transpose,
    elementwise,
    exponential,
    gated,
    learned_pool,
    loss,
    margin,
    mixed_pool,
    norm,
    norm_pool,
    operators,
    padding,
    patches,
    pool,
    probability,
    rearrange,
    recompute,
    rectifier,
    reduce,
    regression,
    resize,
    response,
    rownorm,
    shape,
    unpool,
)
from fastconv.functional import dropout as dropout_stem
from fastconv.functional import linear as linear_functions
from fastconv.functional.activation import *  # noqa: F403
from fastconv.functional.adaptive import *  # noqa: F403
from fastconv.functional.conv import *  # noqa: F403
from fastconv.functional.conv_transpose import *  # noqa: F403
from fastconv.functional.dropout import *  # noqa: F403
from fastconv.functional.elementwise import *  # noqa: F403
from fastconv.functional.exponential import *  # noqa: F403
from fastconv.functional.gated import *  # noqa: F403
from fastconv.functional.learned_pool import *  # noqa: F403
from fastconv.functional.linear import *  # noqa: F403
from fastconv.functional.loss import *  # noqa: F403
from fastconv.functional.margin import *  # noqa: F403
from fastconv.functional.mixed_pool import *  # noqa: F403
from fastconv.functional.norm import *  # noqa: F403
from fastconv.functional.norm_pool import *  # noqa: F403
from fastconv.functional.padding import *  # noqa: F403
from fastconv.functional.patches import *  # noqa: F403
from fastconv.functional.pool import *  # noqa: F403
from fastconv.functional.probability import *  # noqa: F403
from fastconv.functional.rearrange import *  # noqa: F403
from fastconv.functional.recompute import *  # noqa: F403
from fastconv.functional.rectifier import *  # noqa: F403
from fastconv.functional.reduce import *  # noqa: F403
from fastconv.functional.regression import *  # noqa: F403
from fastconv.functional.resize import *  # noqa: F403
from fastconv.functional.response import *  # noqa: F403
from fastconv.functional.rownorm import *  # noqa: F403
from fastconv.functional.shape import *  # noqa: F403
from fastconv.functional.unpool import *  # noqa: F403

__all__ = [
    *activation.__all__,
    *adaptive.__all__,
    *conv.__all__,
    *conv_transpose.__all__,
    *dropout_stem.__all__,
    *elementwise.__all__,
    *exponential.__all__,
    *gated.__all__,
    *linear_functions.__all__,
    *learned_pool.__all__,
    *mixed_pool.__all__,
    *norm_pool.__all__,
    *loss.__all__,
    *margin.__all__,
    *padding.__all__,
    *norm.__all__,
    *patches.__all__,
    *pool.__all__,
    *probability.__all__,
    *rearrange.__all__,
    *rectifier.__all__,
    *response.__all__,
    *rownorm.__all__,
    *resize.__all__,
    *recompute.__all__,
    *reduce.__all__,
    *regression.__all__,
    *shape.__all__,
    *unpool.__all__,
]

operators.install()
