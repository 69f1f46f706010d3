import sys

import pytest

from fastconv import errors


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
