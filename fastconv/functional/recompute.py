"""Computing again on the way back what was not kept on the way forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastconv.autograd import as_array, enable_grad, is_grad_enabled, needs_grad, no_grad, record
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor
from fastconv.tracing import tracing

__all__ = ["checkpoint"]


def checkpoint(
    function: Callable[..., Tensor], *inputs: Any, parameters: Iterable[Parameter] = (), buffers: Iterable[Tensor] = ()
) -> Tensor:
    """Return ``function(*inputs)`` without keeping what its backward pass needs: that is computed once more then.

    Parameters
    ----------
    function : callable
        Takes Tensors, returns one, and gives the same for the same; no random numbers.
    *inputs : Tensor or array_like
        float32 or float64.
    parameters : iterable of Parameter
        What else `function` depends on and is to have gradients.
    buffers : iterable of Tensor
        What `function` changes, such as batch norm's running values; the second time leaves them as they were.

    Returns
    -------
    Tensor
        Its value. The gradients are those of `function`, for about a third more time.

    References
    ----------
    T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory cost", 2016.

    Examples
    --------
    >>> x = Tensor([3.0], requires_grad=True)
    >>> checkpoint(lambda x: x * x, x).sum().backward()
    >>> x.grad
    tensor([6.])
    """
    learnt, changed = list(parameters), list(buffers)
    if tracing() or not is_grad_enabled():
        return function(*inputs)
    arrays = [as_array(x, "checkpoint", f"inputs[{number}]") for number, x in enumerate(inputs)]
    wanted = [needs_grad(x) for x in inputs]
    with no_grad():
        out = function(*inputs).data

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        given = [Tensor(x, requires_grad=wants) for x, wants in zip(arrays, wanted, strict=True)]
        before, state = [p.grad for p in learnt], [b.data.copy() for b in changed]
        try:
            for parameter in learnt:
                parameter.grad = None
            with enable_grad():
                function(*given).backward(grad)
            found = [source.grad for source in (*given, *learnt)]
        finally:
            for parameter, old in zip(learnt, before, strict=True):
                parameter.grad = old
            for buffer, values in zip(changed, state, strict=True):
                buffer.data[...] = values
        return tuple(None if g is None else g.data for g in found)

    return record(out, backward, (*inputs, *learnt))
