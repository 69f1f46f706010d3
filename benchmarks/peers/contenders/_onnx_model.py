"""A case as an ONNX model: what ONNX Runtime and OpenVINO run. Forward only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers.cases import Case

OPSET = 17
SIMPLE = {
    "conv2d": "Conv",
    "linear": "Gemm",
    "max_pool2d": "MaxPool",
    "avg_pool2d": "AveragePool",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
}
LENET = (
    ("Conv", {"pads": [2, 2, 2, 2]}),
    ("Relu", {}),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Conv", {}),
    ("Relu", {}),
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Flatten", {}),
    ("Gemm", {"transB": 1}),
    ("Relu", {}),
    ("Gemm", {"transB": 1}),
    ("Relu", {}),
    ("Gemm", {"transB": 1}),
)


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _attributes(case: Case) -> dict[str, Any]:
    options = case.options
    if case.op == "linear":
        return {"transB": 1}
    if case.op in ("softmax", "log_softmax"):
        return {"axis": options["dim"]}
    if case.op in ("conv2d", "max_pool2d", "avg_pool2d"):
        kernel = options["kernel_size"] if case.op != "conv2d" else case.shapes[1][2:]
        stride = options.get("stride", 1 if case.op == "conv2d" else kernel)
        attributes = {
            "kernel_shape": _pair(kernel),
            "strides": _pair(stride),
            "pads": _pair(options.get("padding", 0)) * 2,
        }
        return attributes | ({"group": options.get("groups", 1)} if case.op == "conv2d" else {})
    return {}


def build(case: Case) -> tuple[bytes, np.ndarray] | None:
    """Return the model, with input "x" and output "y", and its input; None if the case is none for a model."""
    if case.mode != "forward" or (case.op != "lenet5" and case.op not in SIMPLE):
        return None
    nodes: Sequence[tuple[str, dict[str, Any]]] = (
        LENET if case.op == "lenet5" else [(SIMPLE[case.op], _attributes(case))]
    )
    x, *weights = case.arrays()
    constants = [numpy_helper.from_array(w, f"w{number}") for number, w in enumerate(weights)]
    waiting, graph, source = [c.name for c in constants], [], "x"
    for number, (kind, attributes) in enumerate(nodes):
        taken = min(len(waiting), 2) if kind in ("Conv", "Gemm") else 0
        target = "y" if number == len(nodes) - 1 else f"h{number}"
        graph.append(helper.make_node(kind, [source, *waiting[:taken]], [target], **attributes))
        waiting, source = waiting[taken:], target
    rank = 2 if case.op == "lenet5" else x.ndim
    model = helper.make_model(
        helper.make_graph(
            graph,
            case.name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)],
            constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString(), x
