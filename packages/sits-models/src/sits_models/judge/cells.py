"""What decides a cell of the table: its place in it, and hashes of settings, code, data and weights."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sits_data
import sits_models

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
