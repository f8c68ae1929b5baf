"""Cells of the table: one model, reader, budget and seed; each is a file, so that a bench goes on.

A cell holds what was said of every test sample. Figures are worked out from cells, never kept instead.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

import sits_data
import sits_models
from sits_data.output import write_atomically
from sits_models.errors import NotARun

Numbers = NDArray[np.int64]

_LIBRARIES = ("torch", "numpy", "scikit-learn", "aeon", "lightning", "torchgeo")


@dataclass(frozen=True)
class Key:
    """What a cell is.

    Args:
        store: path of the store.
        entry: name of the model or floor.
        reader: what read the classes; empty where nothing did.
        budget: of labels.
        seed: of training and split.
        made: everything else that decides what it says: settings, hashes of code, data and weights.
    """

    store: str
    entry: str
    reader: str
    budget: str
    seed: int
    made: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Store, entry, reader and budget: seeds share a row."""
        return self.store, self.entry, self.reader, self.budget

    @property
    def file(self) -> str:
        """Name of its file: where it belongs, and a hash of all that decides it."""
        # Not where the store lies: its hash is in `made`.
        said = json.dumps([*self.row[1:], self.seed, self.made], sort_keys=True)
        words = "-".join([Path(self.store).stem, self.entry, self.reader, self.budget, str(self.seed)])
        plain = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in words)
        return f"{plain}-{hashlib.sha256(said.encode()).hexdigest()[:12]}.npz"


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


@cache
def code_hash() -> str:
    """Of the source of both packages and the libraries that figures depend on."""
    digest = hashlib.sha256()
    for package in (sits_data, sits_models):
        root = Path(str(package.__file__)).parent
        for file in sorted(root.rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    digest.update(" ".join(version(name) for name in _LIBRARIES).encode())
    return digest.hexdigest()[:16]


def hash_of(data: bytes) -> str:
    """The first 16 digits of SHA-256: a manifest and a card have the whole ones of what they name."""
    return hashlib.sha256(data).hexdigest()[:16]
