"""fastconv: convolutional networks on a CPU."""

from fastconv._kernels import active_isa, available_isas
from fastconv._kernels import set_isa as use_isa

__all__ = ["active_isa", "available_isas", "use_isa"]
