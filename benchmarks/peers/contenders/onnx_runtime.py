"""ONNX Runtime on models of one layer, input and output bound so that nothing is copied at its border."""

from __future__ import annotations

from functools import partial

import onnxruntime

from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run, _onnx_model


def version() -> str:
    """ONNX Runtime's."""
    return onnxruntime.__version__


def prepare(case: Case, threads: int) -> dict[str, Run]:
    """One variant: the library chooses layouts by itself."""
    built = _onnx_model.build(case)
    if built is None:
        return {}
    model, x = built
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_output("y", "cpu")  # memory of its own choice at each call
    call = partial(session.run_with_iobinding, binding)

    def result() -> list:
        call()
        return binding.copy_outputs_to_cpu()

    return {"": Run(call, result)}
