"""A network as a source of features: the outputs of some of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from fastconv.layers import Module

__all__ = ["FeatureExtractor", "create_feature_extractor"]


class _AllFound(Exception):
    """Ends the forward pass when nothing more is wanted of it."""


class FeatureExtractor(Module):
    """Returns the outputs of layers inside a network; layers after the last of them are not run.

    Parameters
    ----------
    model : Module
        The network, shared, not copied.
    layers : mapping of str to str
        Paths of layers, and the names of their outputs.
    """

    def __init__(self, model: Module, layers: Mapping[str, str]) -> None:
        self.model = model
        self.layers = dict(layers)

    def forward(self, *inputs: Any) -> dict[str, Any]:
        """Return the outputs by name, in the order asked for."""
        found: dict[str, Any] = {}

        def keeper(name: str) -> Any:
            def keep(module: Module, given: Any, output: Any) -> None:
                found[name] = output
                if len(found) == len(self.layers):
                    raise _AllFound

            return keep

        with ExitStack() as hooks:
            for path, name in self.layers.items():
                hooks.enter_context(self.model.get_submodule(path).register_forward_hook(keeper(name)))
            try:
                self.model(*inputs)
            except _AllFound:
                return {name: found[name] for name in self.layers.values()}
        missing = [path for path, name in self.layers.items() if name not in found]
        raise ValueError(f"create_feature_extractor: the network did not run {', '.join(missing)}")

    def extra_repr(self) -> str:
        return f"layers={self.layers}"


def create_feature_extractor(model: Module, return_nodes: Sequence[str] | Mapping[str, str]) -> FeatureExtractor:
    """Make a module that returns the outputs of layers inside a network.

    Parameters
    ----------
    model : Module
        The network. It is shared, so that training the extractor trains it.
    return_nodes : sequence of str, or mapping of str to str
        Paths of layers, as in ``named_modules``, or from paths to names of outputs.

    Returns
    -------
    FeatureExtractor
        Called as the network, it returns a dict of the outputs. What comes after the last layer is not computed.

    Raises
    ------
    ValueError
        If there is no such layer, or, when called, if the network does not run one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import resnet18
    >>> extractor = create_feature_extractor(resnet18(rng=0).eval(), ["layer2", "layer4"])
    >>> {name: maps.shape for name, maps in extractor(np.zeros((1, 3, 64, 64), np.float32)).items()}
    {'layer2': (1, 128, 8, 8), 'layer4': (1, 512, 2, 2)}
    """
    if isinstance(return_nodes, str):
        raise TypeError(f"create_feature_extractor: return_nodes must be a sequence of paths, got {return_nodes!r}")
    layers = dict(return_nodes) if isinstance(return_nodes, Mapping) else {path: path for path in return_nodes}
    known = dict(model.named_modules(remove_duplicate=False))
    if not layers or len(set(layers.values())) != len(layers):
        raise ValueError("create_feature_extractor: return_nodes must name at least one layer, and no output twice")
    for path in layers:
        if path not in known or not path:
            near = [name for name in known if name.startswith(str(path).split(".")[0])][:8]
            raise ValueError(
                f"create_feature_extractor: no layer is at {path!r}; there are {', '.join(near or known)[:200]}"
            )
    return FeatureExtractor(model, layers)
