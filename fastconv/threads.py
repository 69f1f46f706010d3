"""How many threads the kernels use, and threadpoolctl's view of them.

The kernels share one pool of threads. Nothing is started at import: the first large kernel starts the threads, and
they sleep while there is no work. A kernel that is called while another Python thread uses the pool runs on its caller
alone, so that there are never more threads at work than cores. Results have the same bits for any number of threads.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv.errors import require

__all__ = ["get_num_threads", "register_threadpoolctl", "set_num_threads"]


def set_num_threads(n: int) -> None:
    """Set how many threads kernels use, the calling one included, for the whole process.

    Kernels that run already are not affected. The default is the environment variable ``FASTCONV_NUM_THREADS``, else
    the number of processors this process may use: the smaller of its affinity and its cgroup's quota.

    Parameters
    ----------
    n : int
        From 1 to 256.

    Raises
    ------
    TypeError
        If `n` is not an int.
    ValueError
        If `n` is out of range.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(before)
    """
    wanted = f"set_num_threads: n must be an int from 1 to {_kernels.MAX_THREADS}, got {n!r}"
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(wanted)
    if not 1 <= n <= _kernels.MAX_THREADS:
        raise ValueError(wanted)
    _kernels.set_num_threads(n)


def get_num_threads() -> int:
    """Return how many threads kernels use, the calling one included."""
    return _kernels.get_num_threads()


@cache  # threadpoolctl would list a second registration as a second pool
def register_threadpoolctl() -> None:
    """Let threadpoolctl see and limit the threads of the kernels, as the user API "fastconv".

    ``import fastconv`` does so by itself where threadpoolctl is imported already, but never imports it, to stay cheap:
    call this where it is imported later.

    Raises
    ------
    MissingExtraError
        If threadpoolctl is not installed.

    Examples
    --------
    >>> import threadpoolctl
    >>> register_threadpoolctl()
    >>> with threadpoolctl.threadpool_limits(1, user_api="fastconv"):
    ...     get_num_threads()
    1
    """
    threadpoolctl: Any = require("threadpoolctl", "threads")

    class Controller(threadpoolctl.LibController):
        user_api = internal_api = "fastconv"
        filename_prefixes = ("_kernels",)
        check_symbols = ("fc_set_num_threads",)  # another package may have a _kernels too

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: Any) -> None:
            set_num_threads(min(max(num_threads, 1), _kernels.MAX_THREADS))

        def get_version(self) -> str | None:
            import fastconv

            return getattr(fastconv, "__version__", None)

    threadpoolctl.register(Controller)


if hasattr(sys.modules.get("threadpoolctl"), "register"):  # since its version 3.2
    register_threadpoolctl()
