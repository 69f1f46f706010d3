"""Training: what is learnt, recorded, and kept when something goes wrong."""

import numpy as np
import pytest

from fastconv import functional as F
from fastconv.data import DataLoader
from fastconv.layers import Buffer, Flatten, Linear, Module, Sequential
from fastconv.lr_scheduler import ReduceLROnPlateau, StepLR
from fastconv.optim import SGD, NonFiniteGradientError, clip_grad_norm_, clip_grad_value_
from fastconv.training import Evaluation, NonFiniteLossError, evaluate, fit

RNG = np.random.default_rng(0)
IMAGES = RNG.random((96, 1, 2, 2), np.float32)
LABELS = (IMAGES.mean((1, 2, 3)) > 0.5).astype(np.int64)


def network():
    return Sequential(Flatten(), Linear(4, 2, rng=0))


def loader(images=IMAGES, labels=LABELS, **options):
    return DataLoader((images, labels), **{"batch_size": 32, "prefetch": 0, **options})


def weights(model):
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def assert_same(first, second):
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def trained(steps, lr, images=IMAGES):
    """The weights after so many steps of plain SGD in the order of the data."""
    model = network()
    optimizer = SGD(model.parameters(), lr)
    for step in range(steps):
        part = slice(step % 3 * 32, step % 3 * 32 + 32)
        optimizer.zero_grad()
        F.cross_entropy(model(images[part]), LABELS[part]).backward()
        optimizer.step()
    return weights(model)


def test_fit_is_the_loop_one_would_write():
    model = network()
    history = fit(model, loader(), optimizer=SGD(model.parameters(), 0.1), epochs=2)
    assert_same(weights(model), trained(6, 0.1))
    assert [record.epoch for record in history] == [1, 2]
    assert not model.training


@pytest.mark.parametrize(("option", "clip"), [("clip_norm", clip_grad_norm_), ("clip_value", clip_grad_value_)])
def test_gradients_are_clipped_before_each_update(option, clip):
    model, twin = network(), network()
    fit(model, loader(), optimizer=SGD(model.parameters(), 0.1), **{option: 0.05})
    optimizer = SGD(twin.parameters(), 0.1)
    for start in (0, 32, 64):
        optimizer.zero_grad()
        F.cross_entropy(twin(IMAGES[start : start + 32]), LABELS[start : start + 32]).backward()
        clip(twin.parameters(), 0.05)
        optimizer.step()
    assert_same(weights(model), weights(twin))
    assert not np.array_equal(weights(model)["1.weight"], trained(3, 0.1)["1.weight"])


def test_a_gradient_that_cannot_be_clipped_leaves_the_weights():
    model = network()
    before = weights(model)

    def steep(scores, labels):  # 0, with an infinite slope
        return F.sqrt(scores - scores.detach()).sum()

    with pytest.raises(NonFiniteGradientError, match=r"1\.weight"):
        fit(model, loader(), optimizer=SGD(model.parameters(), 0.1), loss=steep, clip_norm=1.0)
    assert_same(weights(model), before)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("validated", [True, False])
def test_a_plateau_is_judged_once_an_epoch(mode, validated):
    model = network()
    optimizer = SGD(model.parameters(), 0.1)
    schedule = ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=1, threshold=10.0, threshold_mode="abs")
    history = fit(model, loader(), loader() if validated else None, optimizer=optimizer, scheduler=schedule, epochs=5)
    assert [record.learning_rate for record in history] == [0.1, 0.1, 0.1, 0.05, 0.05]
    first = history[0]
    metrics = {"min": (first.train_loss, first.test_loss), "max": (first.train_accuracy, first.test_accuracy)}
    assert schedule.best == metrics[mode][validated]


def test_fit_learns_and_records():
    model = network()
    optimizer = SGD(model.parameters(), 2.0)
    batches, epochs = [], []
    history = fit(
        model,
        loader(shuffle=True, batch_size=40),
        loader(),
        optimizer=optimizer,
        scheduler=StepLR(optimizer, 3, 0.95),
        epochs=20,
        on_batch=batches.append,
        on_epoch=epochs.append,
    )
    assert history.records == epochs
    first, last = history[0], history[-1]
    assert last.test_accuracy > 0.9
    assert last.train_loss < first.train_loss
    assert first.learning_rate == 2.0
    assert history[1].learning_rate == 1.9  # the schedule steps after every batch, three of them an epoch
    assert last.images_per_second > 0
    assert last.seconds > 0
    assert [(b.epoch, b.batch, b.batches, b.images) for b in batches[:4]] == [
        (1, 1, 3, 40),
        (1, 2, 3, 40),
        (1, 3, 3, 16),
        (2, 1, 3, 40),
    ]
    assert batches[2].loss == first.train_loss
    assert batches[2].accuracy == first.train_accuracy
    assert last.test_loss == evaluate(model, loader()).loss


def test_without_validation_there_are_no_test_values():
    model = network()
    record = fit(model, loader(), optimizer=SGD(model.parameters()))[0]
    assert np.isnan([record.test_loss, record.test_accuracy]).all()


def test_a_nan_sample_stops_with_the_weights_of_the_step_before():
    images = IMAGES.copy()
    images[70, 0, 1, 1] = np.nan  # in the third batch
    model = network()
    with pytest.raises(
        NonFiniteLossError, match=r"loss is nan at step 3 \(epoch 1, batch 3 of 3, learning rate 0.1\)"
    ) as e:
        fit(model, loader(images), optimizer=SGD(model.parameters(), 0.1), epochs=5)
    assert (e.value.epoch, e.value.batch, e.value.step) == (1, 3, 3)
    assert isinstance(e.value, ArithmeticError)
    assert_same(weights(model), trained(2, 0.1, images))


def test_a_nan_in_the_first_batch_leaves_the_initial_weights():
    model = network()
    with pytest.raises(NonFiniteLossError, match="step 1 "):
        fit(model, loader(IMAGES * np.float32(np.nan)), optimizer=SGD(model.parameters(), 0.1))
    assert_same(weights(model), weights(network()))


@pytest.mark.parametrize("prefetch", [0, 1])
@pytest.mark.parametrize("lr", [1e36, 1e37, 1e38])
def test_a_huge_learning_rate_leaves_weights_that_work(lr, prefetch):
    model = network()
    images = IMAGES * np.float32(1e3)
    with pytest.raises(NonFiniteLossError):
        fit(model, loader(images, prefetch=prefetch), optimizer=SGD(model.parameters(), lr, momentum=0.9), epochs=50)
    assert all(np.isfinite(value).all() for value in weights(model).values())
    with pytest.raises(NonFiniteLossError, match="step 1 "):  # the last good step had a finite loss on its batch
        fit(model, loader(images * np.float32(np.inf)), optimizer=SGD(model.parameters()))


def test_weights_that_overflow_in_the_last_step_are_noticed():
    model = network()
    with pytest.raises(NonFiniteLossError, match="epoch 1, batch 1 of 1"):
        fit(model, [(IMAGES * 1e3, LABELS)], optimizer=SGD(model.parameters(), 1e38))
    assert_same(weights(model), weights(network()))


class Counting(Module):
    """Keeps the mean of what it sees, as batch normalisation does."""

    def __init__(self):
        self.linear = Linear(4, 2, rng=0)
        self.mean = Buffer(np.zeros(1, np.float32))

    def forward(self, x):
        if self.training:
            self.mean.data += x.mean()
        return self.linear(F.flatten(x, 1))


def test_a_bad_batch_leaves_no_trace_in_buffers():
    images = IMAGES.copy()
    images[70] = np.nan
    model = Counting()
    with pytest.raises(NonFiniteLossError):
        fit(model, loader(images), optimizer=SGD(model.parameters(), 0.1))
    expected = images[:32].mean() + images[32:64].mean()
    np.testing.assert_allclose(model.mean.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("stop", "steps"), [(1, 0), (4, 3), (9, 6)])
def test_ctrl_c_leaves_the_last_finished_epoch(stop, steps):
    model = network()
    seen = []

    def interrupt(record):
        seen.append(record)
        if len(seen) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, loader(), optimizer=SGD(model.parameters(), 0.1), epochs=5, on_batch=interrupt)
    assert_same(weights(model), trained(steps, 0.1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "fit: epochs must be an int >= 1, got 0"),
        ({"epochs": 1.5}, TypeError, "fit: epochs"),
        ({"optimizer": "SGD"}, TypeError, "optimizer must be an Optimizer, got str"),
        ({"train_loader": []}, ValueError, "train_loader has no batches"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    model = network()
    with pytest.raises(error, match=message):
        fit(model, **{"train_loader": loader(), "optimizer": SGD(model.parameters()), **options})


def test_evaluate_keeps_the_modes_and_counts():
    model = network()
    model[1].eval()
    result = evaluate(model, loader(batch_size=50))
    assert model.training
    assert not model[1].training
    scores = model(IMAGES)
    np.testing.assert_array_equal(result.labels, LABELS)
    np.testing.assert_array_equal(result.predictions, scores.data.argmax(1))
    np.testing.assert_allclose(result.loss, F.cross_entropy(scores, LABELS).item(), rtol=1e-5)
    assert result.accuracy == result.correct / 96
    with pytest.raises(ValueError, match="no images"):
        evaluate(model, [])


def test_confusion_matrix_has_a_row_for_each_true_class():
    result = Evaluation(0.0, np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2]), 3)
    assert result.confusion_matrix().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 2]]
