"""What optimisers have in common: groups of parameters, and what is remembered for each parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from fastconv import _kernels, checks
from fastconv.errors import DataError, ShapeError
from fastconv.parameter import Parameter
from fastconv.tensor import array_of, wrap

__all__ = ["Optimizer"]


class Optimizer:
    """Base of optimisers: groups of parameters with their options, and what is remembered for each parameter.

    A subclass says what it remembers (`keeps`, `kept`), what its options may be (`LIMITS`, `check`), and how a
    parameter follows its gradient (`update`).

    Parameters
    ----------
    params : iterable of Parameter, of (name, Parameter) or of dict
        Parameters, which ``model.named_parameters()`` gives with the names that errors then mention; or groups: a dict
        has the key "params" and options that differ from `defaults`.
    defaults : dict
        The options of groups that do not state them.

    Attributes
    ----------
    param_groups : list of dict
        The groups with all their options; learning-rate schedules write to them.
    state : dict
        From Parameter to a dict of arrays: those named in `keeps`, of the parameter's shape and dtype, and the number
        of its steps under "step".
    """

    keeps: ClassVar[tuple[str, ...]] = ()
    """Names of all arrays that may be kept for a parameter; "step", if it is among them, is a count."""
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {}
    """The smallest and the largest value of options that are numbers."""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Parameter, dict[str, np.ndarray]] = {}
        name = type(self).__name__
        if isinstance(params, (Parameter, Mapping)) or not isinstance(params, Iterable):
            raise TypeError(f"{name}: params must be an iterable of Parameters or dicts, got {type(params).__name__}")
        given = list(params)
        if not given:
            raise ValueError(f"{name}: params is empty")
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    # ---- what subclasses say

    def check(self, options: dict[str, Any]) -> None:
        """Raise if an option of a group is wrong; numbers become floats."""
        for name, (low, high) in self.LIMITS.items():
            options[name] = checks.number(options[name], type(self).__name__, name, low, high)

    def kept(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Which of `keeps` these options need."""
        return self.keeps

    def update(self, p: Parameter, grad: np.ndarray, group: dict[str, Any]) -> None:
        """Change one parameter, given its gradient in C order; every optimiser defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no update")

    # ---- use

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own.

        Raises
        ------
        TypeError, ValueError
            If one of them is no Parameter or is there already, or an option is unknown or out of range.
        """
        name, group = type(self).__name__, param_group
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"{name}: a group of params must be a dict with the key 'params', got {group!r:.60}")
        params = group["params"]
        given = [params] if isinstance(params, Parameter) else list(params)
        pairs = [p if isinstance(p, tuple) and len(p) == 2 else (None, p) for p in given]
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for _, p in pairs:
            if not isinstance(p, Parameter):
                raise TypeError(f"{name}: params must be Parameters, got {type(p).__name__}")
            if id(p) in known:
                raise ValueError(f"{name}: a parameter of shape {p.shape} is given twice")
            known.add(id(p))
        unknown = set(group) - {"params"} - set(self.defaults)
        if unknown:
            raise ValueError(f"{name}: unknown options {sorted(unknown)}, known are {sorted(self.defaults)}")
        options = {**self.defaults, **group, "params": [p for _, p in pairs]}
        if pairs and all(isinstance(label, str) for label, _ in pairs):
            options["param_names"] = [label for label, _ in pairs]
        self.check(options)
        self.param_groups.append(options)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Called first; computes the gradients and returns the loss, which this returns.

        Raises
        ------
        ShapeError
            If a gradient does not fit its parameter; nothing is changed then.
        """
        loss = None if closure is None else closure()
        updates = [
            (p, self._fitting(p, p.grad.data, group, i), group)
            for group in self.param_groups
            for i, p in enumerate(group["params"])
            if p.grad is not None
        ]
        for p, grad, group in updates:
            self.update(p, grad, group)
        return loss

    def _fitting(self, p: Parameter, grad: np.ndarray, group: dict[str, Any], number: int) -> np.ndarray:
        if grad.shape != p.shape or grad.dtype != p.dtype:
            names = group.get("param_names")
            raise ShapeError(
                f"{type(self).__name__}: grad {f'of {names[number]} ' if names else ''}must be {p.dtype} of shape "
                f"{p.shape}, got {grad.dtype} of shape {grad.shape}"
            )
        return np.asarray(grad, order="C")

    def remembered(self, p: Parameter, group: dict[str, Any]) -> dict[str, np.ndarray]:
        """What is kept for a parameter: zeros at its first step. Arrays follow the parameter's dtype."""
        state = self.state.setdefault(p, {})
        for name in self.kept(group):
            array = state.get(name)
            if array is None:
                state[name] = np.zeros((), np.int64) if name == "step" else _copy(0.0, p)
            elif array.dtype is not p.dtype and name != "step":
                state[name] = _copy(array, p)
        return state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with False set them to 0."""
        for p in self._params():
            p.forget_grad(set_to_none)

    # ---- state

    def state_dict(self) -> dict[str, Any]:
        """Return options and state in PyTorch's form, parameters replaced by their numbers.

        The arrays are Tensors that share memory with the optimiser.
        """
        numbers = {id(p): i for i, p in enumerate(self._params())}
        return {
            "state": {numbers[id(p)]: {k: wrap(a) for k, a in kept.items()} for p, kept in self.state.items()},
            "param_groups": [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take options and state from what :meth:`state_dict` returned; the next steps are the same, bit for bit.

        PyTorch's own state fits too: options that fastconv does not have are left out.

        Raises
        ------
        DataError, ShapeError, TypeError, ValueError
            If groups, parameters, options, shapes or dtypes do not fit; nothing is changed then.
        """
        name = type(self).__name__
        try:
            groups, states = list(state_dict["param_groups"]), dict(state_dict["state"])
            sizes = [len(g["params"]) for g in groups]
        except (KeyError, TypeError) as error:
            raise DataError(f"{name}: state_dict lacks param_groups or state ({error!r})") from None
        if sizes != [len(g["params"]) for g in self.param_groups]:
            own = [len(g["params"]) for g in self.param_groups]
            raise DataError(f"{name}: state_dict has groups of {sizes} parameters, the optimiser of {own}")
        new_groups = []
        for own_group, group in zip(self.param_groups, groups, strict=True):
            known = {key: value for key, value in group.items() if key in own_group or key == "initial_lr"}
            options = {**own_group, **known, "params": own_group["params"]}
            self.check(options)
            new_groups.append(options)
        members = [(p, group) for group in new_groups for p in group["params"]]
        new_state = {}
        for number, kept in states.items():
            if not isinstance(number, int) or not 0 <= number < len(members):
                raise DataError(f"{name}: state_dict has a state of parameter {number!r}, there are {len(members)}")
            p, group = members[number]
            new_state[p] = self._loaded(f"parameter {number}", p, group, kept)
        self.param_groups[:] = new_groups
        self.state = new_state

    def _loaded(self, what: str, p: Parameter, group: dict[str, Any], kept: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Copies of the arrays that a state dict has for one parameter, or an error."""
        name = type(self).__name__
        given = {key: value for key, value in kept.items() if value is not None}
        wrong = [key for key in given if key not in self.keeps]
        wrong += [key for key in self.kept(group) if given and key not in given]
        if wrong:
            raise DataError(f"{name}: state_dict has {sorted(given)} for {what}, but {wrong} must be otherwise")
        state = {}
        for key, value in given.items():
            array = array_of(value, f"{name}: {key} of {what}")
            if key == "step":
                if array.size != 1 or not array >= 0 or array != np.floor(array):
                    raise DataError(f"{name}: step of {what} must be a count, got {array}")
                state[key] = array.reshape(()).astype(np.int64)
                continue
            if array.shape != p.shape:
                raise ShapeError(f"{name}: {key} of {what} must have shape {p.shape}, got {array.shape}")
            if not np.can_cast(array.dtype, p.dtype, "safe"):
                raise TypeError(f"{name}: {key} of {what} must be {p.dtype} as the parameter is, got {array.dtype}")
            state[key] = _copy(array, p)
        return state

    def _params(self) -> list[Parameter]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        lines = [
            f"{type(self).__name__}(",
            *(
                f"  {len(g['params'])} parameters: "
                + ", ".join(f"{key}={value!r}" for key, value in g.items() if key not in ("params", "param_names"))
                for g in self.param_groups
            ),
        ]
        return "\n".join([*lines, ")"])


def _copy(values: np.ndarray | float, p: Parameter) -> np.ndarray:
    """A new array like a parameter. All begin a cache line: where vectors cross lines and stores to one array seem, by
    the low bits of their addresses, to meet loads from the next, an update takes twice as long."""
    array = _kernels.empty(p.shape, p.dtype)
    array[...] = values
    return array


def nonnegative(*names: str) -> dict[str, tuple[float, float]]:
    """Limits of options that must be >= 0."""
    return dict.fromkeys(names, (0.0, math.inf))


def below_one(op: str, name: str, value: Any) -> float:
    """Return a share that stays of an average: in [0, 1)."""
    number = checks.number(value, op, name, 0.0, 1.0)
    if number == 1:
        raise ValueError(f"{op}: {name} must be below 1, got {value!r}")
    return number
