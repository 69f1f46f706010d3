import sys

import numpy as np
import pytest

from fastconv import Parameter, Tensor, errors, lr_scheduler, optim
from fastconv.data import transforms
from fastconv.layers._listed import Listed


def test_kinds():
    assert issubclass(errors.ShapeError, (errors.FastconvError,))
    assert issubclass(errors.ShapeError, ValueError)
    assert issubclass(errors.DataError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)


def test_require_imports():
    assert errors.require("xml.dom", "cli") is sys.modules["xml.dom"]


def test_require_names_the_extra():
    for module in ("no_such_module", "no_such_module.inside", "xml.no_such_part"):
        with pytest.raises(errors.MissingExtraError, match=rf'{module}.*pip install "fastconv\[cli\]"') as caught:
            errors.require(module, "cli")
        assert caught.value.name == module


def test_require_tells_a_broken_package_from_a_missing_one(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as caught:
        errors.require("broken_package", "cli")
    assert not isinstance(caught.value, errors.MissingExtraError)


class NoRate(lr_scheduler.LRScheduler):
    pass


class NoUpdate(optim.Optimizer):
    pass


class NoPart(Listed):
    pass


class NoApply(transforms.RandomTransform):
    pass


def test_a_subclass_is_told_what_it_lacks():
    weight = Parameter(np.ones(1, np.float32))
    weight.grad = Tensor(np.ones(1, np.float32))
    with pytest.raises(NotImplementedError, match="NoUpdate defines no update"):
        NoUpdate([weight], {}).step()
    with pytest.raises(NotImplementedError, match="NoRate defines no rate"):
        NoRate(optim.SGD([weight], lr=0.1))
    with pytest.raises(NotImplementedError, match="NoApply defines no apply"):
        NoApply()(np.ones((1, 1, 4, 4), np.float32))
    with pytest.raises(NotImplementedError, match="NoPart defines no _part"):
        NoPart()[:0]
