"""Cells of a bench's table: what one model, reader, budget and seed said of every test sample.

Each is a file, so that a bench goes on. Figures are worked out from cells, never kept instead.
"""

import io
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sits_data.output import write_atomically
from sits_models.errors import NotARun

Numbers = NDArray[np.int64]


class Cell(NamedTuple):
    """What a model said of test samples.

    Args:
        sample: (N,) int64 number of each among the labelled samples of the store.
        fold: (N,) int64 in which it was tested.
        true: (N,) int64 class.
        named: (N,) int64 class.
        block: (N,) int64 of the ground.
        chances: (N, K) float16 probabilities; (N, 0) where the reader gives none.
        seconds: float64 that training and naming took.
    """

    sample: Numbers
    fold: Numbers
    true: Numbers
    named: Numbers
    block: Numbers
    chances: NDArray[np.float16]
    seconds: NDArray[np.float64]


def load_cell(file: Path) -> Cell | None:
    """A cell that was kept, or None.

    Raises:
        NotARun: the file is damaged.
    """
    if not file.exists():
        return None
    try:
        with np.load(io.BytesIO(file.read_bytes())) as kept:
            return Cell(**{name: kept[name] for name in Cell._fields})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise NotARun(f"{file} is damaged; remove it, and the same command makes it again") from error


def save_cell(cell: Cell, file: Path) -> None:
    """Keep a cell: whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **cell._asdict())
    write_atomically(file, buffer.getvalue())
