"""Optimisers: rules by which parameters follow their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.errors import DataError, ShapeError
from fastconv.parameter import Parameter
from fastconv.tensor import array_of, wrap

__all__ = ["SGD", "Optimizer"]


class Optimizer:
    """Base of optimisers: groups of parameters with their options, and what is remembered for each parameter.

    Parameters
    ----------
    params : iterable of Parameter, or of dict
        Parameters, or groups: a dict has the key "params" and options that differ from `defaults`.
    defaults : dict
        The options of groups that do not state them.

    Attributes
    ----------
    param_groups : list of dict
        The groups with all their options; learning-rate schedules write to them.
    state : dict
        From Parameter to a dict of arrays.
    """

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

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own.

        Raises
        ------
        TypeError, ValueError
            If one of them is no Parameter or is there already, or an option is unknown or out of range.
        """
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"{name}: a group of params must be a dict with the key 'params', got {group!r:.60}")
        params = group["params"]
        members = [params] if isinstance(params, Parameter) else list(params)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in members:
            if not isinstance(p, Parameter):
                raise TypeError(f"{name}: params must be Parameters, got {type(p).__name__}")
            if id(p) in known:
                raise ValueError(f"{name}: a parameter of shape {p.shape} is given twice")
            known.add(id(p))
        unknown = set(group) - {"params"} - set(self.defaults)
        if unknown:
            raise ValueError(f"{name}: unknown options {sorted(unknown)}, known are {sorted(self.defaults)}")
        options = {**self.defaults, **group, "params": members}
        self.check(options)
        self.param_groups.append(options)

    def check(self, options: dict[str, Any]) -> None:
        """Raise if an option of a group is wrong; every optimiser defines it."""
        raise NotImplementedError

    def step(self) -> None:
        """Change every parameter that has a gradient; every optimiser defines it."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

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
        """Take options and state from what :meth:`state_dict` returned.

        Raises
        ------
        DataError, ShapeError
            If groups, parameters or shapes do not fit; nothing is changed then.
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
        params = self._params()
        new_state = {}
        for number, kept in states.items():
            if not isinstance(number, int) or not 0 <= number < len(params):
                raise DataError(f"{name}: state_dict has a state of parameter {number!r}, there are {len(params)}")
            p = params[number]
            arrays = {key: array_of(value, f"{name}: state of parameter {number}") for key, value in kept.items()}
            for key, array in arrays.items():
                if array.shape != p.shape:
                    raise ShapeError(
                        f"{name}: {key} of parameter {number} must have shape {p.shape}, got {array.shape}"
                    )
            new_state[p] = {key: np.array(array, dtype=p.dtype, order="C") for key, array in arrays.items()}
        new_groups = []
        for own_group, group in zip(self.param_groups, groups, strict=True):
            options = {**own_group, **group, "params": own_group["params"]}
            self.check(options)
            new_groups.append(options)
        self.param_groups[:] = new_groups
        self.state = new_state

    def _params(self) -> list[Parameter]:
        return [p for group in self.param_groups for p in group["params"]]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    With g the gradient plus `weight_decay` times the parameter: the velocity starts as g and becomes
    ``momentum * v + (1 - dampening) * g``; the parameter changes by ``-lr * v``, or with `nesterov` by
    ``-lr * (g + momentum * v)``.

    Parameters
    ----------
    params : iterable of Parameter, or of dict
        What to optimise; see :class:`Optimizer`.
    lr : float
        Learning rate, >= 0.
    momentum : float
        Share of the velocity that stays, >= 0.
    dampening : float
        Share of the gradient that does not enter the velocity.
    weight_decay : float
        Strength of the pull towards 0, >= 0.
    nesterov : bool
        Look ahead along the velocity; needs momentum > 0 and dampening 0.
    maximize : bool
        Climb instead of descending.

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> weight = Parameter([1.0])
    >>> optimizer = SGD([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.numpy()
    array([0.8], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Raise if an option of a group is wrong."""
        for name in ("lr", "momentum", "weight_decay"):
            checks.number(options[name], "SGD", name, minimum=0.0)
        checks.number(options["dampening"], "SGD", "dampening")
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening 0")

    def step(self) -> None:
        """Change every parameter that has a gradient.

        Raises
        ------
        ShapeError
            If a gradient does not fit its parameter; nothing is changed then.
        """
        updates = [
            (p, _fitting(p, p.grad.data), g) for g in self.param_groups for p in g["params"] if p.grad is not None
        ]
        for p, grad, group in updates:
            if group["maximize"]:
                grad = np.asarray(-grad)
            momentum = group["momentum"]
            kept = self.state.get(p)
            velocity = None if not momentum else np.empty_like(p.data) if kept is None else kept["momentum_buffer"]
            with p.writing() as array:
                _kernels.sgd_update(
                    array,
                    grad,
                    velocity,
                    group["lr"],
                    momentum,
                    group["dampening"],
                    group["weight_decay"],
                    group["nesterov"],
                    kept is None,
                )
            if velocity is not None and kept is None:
                self.state[p] = {"momentum_buffer": velocity}


def _fitting(p: Parameter, grad: np.ndarray) -> np.ndarray:
    if grad.shape != p.shape or grad.dtype != p.dtype:
        raise ShapeError(f"SGD: grad must be {p.dtype} of shape {p.shape}, got {grad.dtype} of shape {grad.shape}")
    return np.asarray(grad, order="C")
