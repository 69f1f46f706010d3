"""OpenVINO on models of one layer, in float32."""

from __future__ import annotations

from functools import partial

import openvino

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run, _onnx_model


def version() -> str:
    """OpenVINO's."""
    return openvino.__version__


def prepare(case: Case, threads: int) -> dict[str, Run]:
    """One variant: the library chooses layouts by itself."""
    built = _onnx_model.build(case)
    if built is None:
        return {}
    model, x = built
    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": str(threads),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
    }
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    tensor = openvino.Tensor(x)  # a copy: a shared one would not keep x alive
    request.set_input_tensor(tensor)
    call = partial(request.infer, share_outputs=True)
    return {"": Run(call, lambda: [call()[0].copy()])}
