"""Memory of a window of pixels, used again by the next window of the same thread.

The pages of fresh memory cost time, and what the C library keeps of freed windows, heap by heap, grows
with how many there were. Memory is therefore taken from the system itself, in huge pages where it has
them, which `np.zeros` does not ask for: 33 MB of its pages take ten times as long.
"""

import math
import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray


class WindowMemory:
    """Named arrays; asking for a name again ends what was there under it."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.uint8]] = {}

    def empty[T: np.generic](self, name: str, shape: tuple[int, ...], dtype: type[T]) -> NDArray[T]:
        """An array of any values."""
        return self._take(name, shape, dtype)[0]

    def zeros[T: np.generic](self, name: str, shape: tuple[int, ...], dtype: type[T]) -> NDArray[T]:
        """An array of zeros.

        >>> memory = WindowMemory()
        >>> memory.zeros("scl", (2, 3), np.uint8).fill(4)
        >>> memory.zeros("scl", (3,), np.uint8)
        array([0, 0, 0], dtype=uint8)
        """
        array, fresh = self._take(name, shape, dtype)
        if not fresh:
            array.fill(0)
        return array

    def _take[T: np.generic](
        self, name: str, shape: tuple[int, ...], dtype: type[T]
    ) -> tuple[NDArray[T], bool]:
        """An array, and whether its memory is fresh, which is zeros."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        kept = self._kept.get(name)
        fresh = kept is None or kept.size < size
        if kept is None or fresh:
            kept = self._kept[name] = np.frombuffer(_fresh(size), np.uint8)
        return kept[:size].view(dtype).reshape(shape), fresh


def _fresh(size: int) -> mmap.mmap:
    """Zeroed memory of so many bytes, of this process alone."""
    own = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    pages = mmap.mmap(-1, max(size, 1), **own)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


_mine = threading.local()


@contextmanager
def memory_of_this_thread(purpose: str = "window") -> Iterator[WindowMemory]:
    """The thread's memory for a purpose; what was read into it ends with the block.

    After an error it is not used again: a read that was given up on may still write into it.
    """
    memory: WindowMemory = _mine.__dict__.pop(purpose, None) or WindowMemory()
    yield memory
    _mine.__dict__[purpose] = memory
