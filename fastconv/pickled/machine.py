"""The stack machine that pickles are programs for.

Python's own machine calls whatever a pickle names. This one knows tuples, lists, dicts, text, numbers, NumPy arrays and
PyTorch's tensors, and calls nothing else. What comes out takes no more memory than a multiple of the file.

References
----------
The instructions are documented in the standard library's ``pickletools``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from fastconv.errors import DataError
from fastconv.pickled.objects import Array, Dtype, Named, TensorView, find

__all__ = ["Machine", "finish"]

DEPTH = 64  # of lists in lists; the files read here have 5


class Machine:
    """The machine for one pickle at the current position of a file.

    Parameters
    ----------
    file : binary file
        Read from; stays open.
    remaining : int
        How many bytes there are: no length may exceed it.
    persistent : callable, optional
        Turns a persistent id, as PyTorch has for storages, into an object.
    """

    def __init__(self, file: BinaryIO, remaining: int, persistent: Callable[[Any], Any] | None = None) -> None:
        self.file, self.remaining, self.persistent = file, remaining, persistent
        self.copies = 2 * remaining  # bytes that may be copied
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return what the program leaves, for :func:`finish`.

        Raises
        ------
        DataError
            If it is damaged, or names or does what is not allowed.
        """
        while (code := self.read(1)) != b".":
            step = _STEPS.get(code)
            if step is None:
                raise DataError(f"instruction {code!r} is not allowed")
            try:
                step(self)
            except DataError:
                raise
            except (LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
                raise DataError(f"instruction {code!r} fails: {type(error).__name__}: {str(error)[:80]}") from None
        return self.pop()

    # ---- reading

    def read(self, size: int) -> bytes:
        """Return so many bytes, which there must be."""
        data = self.file.read(size) if size <= self.remaining else b""
        if len(data) != size:
            raise DataError("it ends early")
        self.remaining -= size
        return data

    def number(self, form: str) -> Any:
        """Return a number in struct's format."""
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def line(self) -> str:
        """Return the text up to the end of the line."""
        data = self.file.readline(min(256, self.remaining))
        self.remaining -= len(data)
        if not data.endswith(b"\n"):
            raise DataError("a line has no end")
        return data[:-1].decode("utf-8", "replace")

    def text(self, form: str, encoding: str = "utf-8") -> None:
        """Push text whose length comes first."""
        self.stack.append(self.read(self.number(form)).decode(encoding, "surrogatepass"))

    # ---- the stack

    def pop(self) -> Any:
        """Take the last value, which must not be from before the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise DataError("its stack is empty")
        return self.stack.pop()

    def marked(self) -> list[Any]:
        """Take what came after the last mark."""
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def extend(self, values: list[Any]) -> None:
        """Append to the list that is last."""
        if type(self.stack[-1]) is not list:
            raise DataError("it appends to what is no list")
        self.stack[-1].extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        """Put keys and values into the dict that is last."""
        if type(self.stack[-1]) is not dict:
            raise DataError("it puts items into what is no dict")
        self.stack[-1].update(_dict(pairs))

    def spend(self, size: int) -> None:
        """Count copied bytes: a small file must not fill the memory by copying the same bytes often."""
        self.copies -= size
        if self.copies < 0:
            raise DataError("it copies its content over and over")

    def push_tuple(self, size: int) -> None:
        """Join the last values."""
        self.stack.append(tuple(reversed([self.pop() for _ in range(size)])))

    def put(self, number: int) -> None:
        """Remember the last value."""
        self.memo[number] = self.stack[-1]

    # ---- names and calls

    def push_global(self) -> None:
        """Push what stands for two lines, a module and a name."""
        module = self.line()
        self.stack.append(find(module, self.line()))

    def push_stack_global(self) -> None:
        """The same with the names from the stack."""
        name, module = self.pop(), self.pop()
        self.stack.append(find(str(module), str(name)))

    def push_persistent(self) -> None:
        """Push the object outside of the pickle that the last value identifies."""
        if self.persistent is None:
            raise DataError("it refers to what is not in it")
        self.stack.append(self.persistent(self.pop()))

    def call(self) -> None:
        """Call a function of the allow-list."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Named) or type(arguments) is not tuple:
            raise DataError("it calls what is no function")
        result = function.make(*arguments)
        if isinstance(result, bytes):
            self.spend(len(result))
        self.stack.append(result)

    def build(self) -> None:
        """Give an array its content. A dict's attributes, such as a state dict's `_metadata`, are dropped."""
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, (Array, Dtype)):
            self.spend(target.build(state))
        elif type(target) is not dict:
            raise DataError(f"it sets attributes of a {type(target).__name__}")


def finish(value: Any, view: Callable[[TensorView], Any] | None = None) -> Any:
    """Return dicts, lists, tuples, text, numbers and arrays: `value` with the arrays in it whole and tensors viewed."""
    # What is used twice is walked once, else a few lists of lists would take for ever. Keeping it keeps its id.
    done: dict[int, tuple[Any, Any]] = {}

    def walk(value: Any, depth: int) -> Any:
        if depth > DEPTH:
            raise DataError("it is nested too deeply")
        if isinstance(value, Array) and value.value is not None:
            return value.value
        if isinstance(value, TensorView) and view is not None:
            return view(value)
        if value is None or type(value) in (bool, int, float, str, bytes):
            return value
        if type(value) not in (dict, list, tuple):
            raise DataError("it holds more than arrays, numbers and text")
        if id(value) not in done:
            if type(value) is dict:
                result: Any = {key: walk(item, depth + 1) for key, item in value.items()}
            else:
                result = type(value)(walk(item, depth + 1) for item in value)
            done[id(value)] = value, result
        return done[id(value)][1]

    return walk(value, 0)


def _dict(values: list[Any]) -> dict[Any, Any]:
    keys = values[::2]
    for key in keys:
        if type(key) not in (str, int, bytes):
            raise DataError(f"a key is of type {type(key).__name__}")
    return dict(zip(keys, values[1::2], strict=True))


def _int(text: str) -> Any:
    return {"00": False, "01": True}.get(text) if text in ("00", "01") else int(text[:40].rstrip("L"))


def _push(value: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda m: m.stack.append(value(m))


_STEPS: dict[bytes, Callable[[Machine], Any]] = {
    b"\x80": lambda m: m.read(1),  # the protocol
    b"\x95": lambda m: m.read(8),  # the length of a frame
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.pop(),
    b"1": lambda m: m.marked(),
    b"N": _push(lambda m: None),
    b"\x88": _push(lambda m: True),
    b"\x89": _push(lambda m: False),
    b"I": _push(lambda m: _int(m.line())),
    b"L": _push(lambda m: _int(m.line())),
    b"J": _push(lambda m: m.number("<i")),
    b"K": _push(lambda m: m.number("<B")),
    b"M": _push(lambda m: m.number("<H")),
    b"\x8a": _push(lambda m: int.from_bytes(m.read(m.number("<B")), "little", signed=True)),
    b"F": _push(lambda m: float(m.line())),
    b"G": _push(lambda m: m.number(">d")),
    b"U": lambda m: m.text("<B", "latin-1"),
    b"T": lambda m: m.text("<I", "latin-1"),
    b"X": lambda m: m.text("<I"),
    b"\x8c": lambda m: m.text("<B"),
    b"\x8d": lambda m: m.text("<Q"),
    b"B": _push(lambda m: m.read(m.number("<I"))),
    b"C": _push(lambda m: m.read(m.number("<B"))),
    b"\x8e": _push(lambda m: m.read(m.number("<Q"))),
    b"\x96": _push(lambda m: m.read(m.number("<Q"))),  # a bytearray
    b"]": _push(lambda m: []),
    b"l": _push(lambda m: m.marked()),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.marked()),
    b")": _push(lambda m: ()),
    b"t": _push(lambda m: tuple(m.marked())),
    b"\x85": lambda m: m.push_tuple(1),
    b"\x86": lambda m: m.push_tuple(2),
    b"\x87": lambda m: m.push_tuple(3),
    b"}": _push(lambda m: {}),
    b"d": _push(lambda m: _dict(m.marked())),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.marked()),
    b"g": _push(lambda m: m.memo[int(m.line())]),
    b"h": _push(lambda m: m.memo[m.number("<B")]),
    b"j": _push(lambda m: m.memo[m.number("<I")]),
    b"p": lambda m: m.put(int(m.line())),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"c": lambda m: m.push_global(),
    b"\x93": lambda m: m.push_stack_global(),
    b"R": lambda m: m.call(),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.push_persistent(),
}
