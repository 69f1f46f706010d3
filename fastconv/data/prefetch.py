"""Preparing the next items in a background thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def prefetched(load: Callable[[int], T], count: int, depth: int) -> Iterator[T]:
    """Yield ``load(0) .. load(count - 1)``, running up to `depth` items ahead in a background thread.

    What `load` raises is raised here, at its place in the order. The thread ends when the iterator is exhausted, closed
    or dropped. An iterator that lived through a fork goes on in the child without a thread.

    Examples
    --------
    >>> list(prefetched(lambda number: number**2, count=4, depth=2))
    [0, 1, 4, 9]
    """
    import atexit
    import os
    import queue
    import threading

    owner = os.getpid()
    results: queue.SimpleQueue = queue.SimpleQueue()
    free = threading.Semaphore(depth)
    stopped = False

    def work() -> None:
        for number in range(count):
            free.acquire()
            if stopped:
                return
            try:
                results.put((load(number), None))
            except BaseException as error:
                results.put((None, error))
                return

    def stop() -> None:
        nonlocal stopped
        if os.getpid() == owner:  # a forked child has no such thread, and may have inherited its locks locked
            stopped = True
            free.release()
            thread.join()

    thread = threading.Thread(target=work, name="fastconv-prefetch", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the system has no more threads: slower, but no reason to fail
        yield from map(load, range(count))
        return
    # A daemon thread that still runs while the interpreter is taken apart could not be joined any more.
    atexit.register(stop)
    try:
        for number in range(count):
            if os.getpid() != owner:
                yield load(number)
                continue
            item, error = results.get()
            free.release()
            if error is not None:
                raise error
            yield item
    finally:
        atexit.unregister(stop)
        stop()
