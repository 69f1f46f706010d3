"""fastconv."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np

import fastconv
from benchmarks.peers.cases import Case
from benchmarks.peers.contenders import Run, training_steps
from fastconv import Parameter, Tensor, _kernels, functional, init, layers, models, no_grad, signal
from tests.networks import filled


def version() -> str:
    """Version and instruction set."""
    return f"{fastconv.__version__} ({fastconv.active_isa()})"


def prepare(case: Case, threads: int, only: str | None = None) -> dict[str, Run]:
    """One variant: channels last is the only order there is inside a network."""
    fastconv.set_num_threads(threads)
    if case.mode == "update":
        return {"": _update(case)}
    by_op = {"lenet5": _lenet, "convolve2d": _signal, "network": _network}
    return {"": by_op.get(case.op, _function)(case)}


def _tensor(array: np.ndarray) -> Tensor:
    """Images, signals and volumes with their channels last, as they are inside a network."""
    if array.ndim == 4:
        return Tensor(_kernels.channels_last(array))
    if array.ndim > 2:
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    return Tensor(array)


def _function(case: Case) -> Run:
    x, *weights = case.arrays()
    inputs = [_tensor(x), *map(Parameter, weights)]
    if case.classes:
        inputs.append(case.labels())
    args, options = case.arguments(inputs)
    call = partial(getattr(functional, case.op), *args, **options, **case.ours)
    if case.mode == "forward":
        return Run(call, lambda: [call().numpy()], no_grad())
    inputs[0].requires_grad_()
    if case.mode == "tape":
        return Run(call, lambda: [call().detach().numpy()])
    out = call()
    grad = _tensor(case.gradient(out.shape)).numpy()
    backward = (lambda: call().node.backward(grad)) if case.mode == "both" else partial(out.node.backward, grad)
    return Run(backward, lambda: [each for each in backward() if each is not None])


def _signal(case: Case) -> Run:
    call = partial(signal.convolve2d, *case.arrays(), **case.options)
    return Run(call, lambda: [call()])


def _lenet(case: Case) -> Run:
    x, *weights = case.arrays()
    model = fastconv.models.lenet5()
    for parameter, values in zip(model.parameters(), weights, strict=True):
        parameter.assign(values)
    image = _tensor(x)
    if case.mode == "forward":
        model.eval()
        return Run(partial(model, image), lambda: [model(image).numpy()], no_grad())
    labels = case.labels()
    sgd = fastconv.optim.SGD(model.parameters(), **case.options)

    def step() -> Tensor:
        sgd.zero_grad()
        loss = functional.cross_entropy(model(image), labels)
        loss.backward()
        sgd.step()
        return loss

    def two_steps() -> list[np.ndarray]:
        losses = [step().detach().numpy(), step().detach().numpy()]
        return [*losses, *(p.numpy().copy() for p in model.parameters())]

    return Run(step, two_steps)


def _network(case: Case) -> Run:
    options = dict(case.options)
    with init.skipped():
        model = models.create(options.pop("network"))
    model.load_state_dict(filled(model.state_dict()))
    for module in model.modules():
        if isinstance(module, layers.Dropout):  # all are to compute the same
            module.p = 0.0
    images = _tensor(case.arrays()[0])
    if case.mode == "forward":
        model.eval()
        return Run(partial(model, images), lambda: [model(images).numpy()], no_grad())
    labels = case.labels()
    sgd = fastconv.optim.SGD(model.parameters(), **options)
    return training_steps(model, sgd, images, labels, functional.cross_entropy, model.aux_weight)


def _update(case: Case) -> Run:
    params = [Parameter(array) for array in case.arrays()]
    for p in params:
        p.grad = Tensor(case.gradient(p.shape))
    step = getattr(fastconv.optim, case.op)(params, **case.options).step
    return Run(step, lambda: [step(), step(), *(p.numpy().copy() for p in params)][2:])


def fma_peak(threads: int, seconds: float = 0.003) -> float:
    """Floating-point operations a second of independent FMAs, on all threads at once."""
    barrier = threading.Barrier(threads)
    begun: list[float] = []
    ended: list[float] = []
    operations: list[float] = []

    def work(rounds: int) -> None:
        barrier.wait()
        begun.append(time.perf_counter())
        operations.append(_kernels.fma_peak("float32", rounds))
        ended.append(time.perf_counter())

    rounds = 10_000
    while True:
        for each in (begun, ended, operations):
            each.clear()
        team = [threading.Thread(target=work, args=(rounds,)) for _ in range(threads)]
        for thread in team:
            thread.start()
        for thread in team:
            thread.join()
        elapsed = max(ended) - min(begun)
        if elapsed >= seconds:
            return sum(operations) / elapsed
        rounds *= 2
