"""Files of a run's folder, read for its report; one that is damaged is told in a line."""

import csv
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sits_models.bench.scores import Scores
from sits_models.errors import NotARun

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Series:
    """One column of a `metrics.csv`.

    Args:
        step: (N,) int64 optimiser steps, ascending.
        value: (N,) float64.
    """

    step: NDArray[np.int64]
    value: NDArray[np.float64]


def read_scores(file: Path) -> Scores | None:
    """A `scores.json`; None where there is none.

    Raises:
        NotARun: it is damaged.
    """
    if not file.is_file():
        return None
    mend = "run probe or finetune again"
    try:
        scores = Scores.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise _damaged(file, f"{where} is not: {first['msg']}", mend) from error
    except OSError as error:
        raise _damaged(file, error, mend) from error
    count = len(scores.classes)
    if any(np.shape(row.confusion) != (count, count) for row in scores.rows):
        raise _damaged(file, f"a confusion matrix is not one of {count} classes", mend)
    return scores


def read_metrics(file: Path) -> dict[str, Series]:
    """Columns of numbers; a last row that was cut off by a kill is left out.

    Raises:
        NotARun: it is damaged.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    try:
        with file.open(newline="") as lines:
            rows = csv.DictReader(lines)
            if "step" not in (rows.fieldnames or ["step"]):
                raise _damaged(file, "it has no column step", "train again")
            for row in rows:
                for name, step, value in _values(row):
                    found.setdefault(name, []).append((step, value))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise _damaged(file, error, "train again") from error
    return {
        name: Series(*(np.array(column) for column in zip(*sorted(pairs), strict=True)))
        for name, pairs in found.items()
    }


def _values(row: Mapping[str, str | None]) -> Iterator[tuple[str, int, float]]:
    step = row.get("step") or ""
    if not step.isdecimal() or None in row:
        return
    for name, text in row.items():
        if name in ("step", "epoch") or not text:
            continue
        try:
            value = float(text)
        except ValueError:
            continue
        yield name, int(step), value


def read_arrays(file: Path, wanted: tuple[str, ...]) -> Arrays | None:
    """An `.npz` that holds at least the wanted arrays, unpickling nothing; None where there is none.

    Raises:
        NotARun: it is damaged.
    """
    if not file.is_file():
        return None
    try:
        with zipfile.ZipFile(file), np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(file, error, "delete it, or train again") from error
    if missing := [name for name in wanted if name not in found]:
        raise _damaged(file, f"it lacks {', '.join(missing)}", "delete it, or train again")
    return found


def _damaged(file: Path, why: object, mend: str) -> NotARun:
    text = " ".join(str(why).split())
    return NotARun(f"{file} must be what this version writes, it cannot be read ({text}); {mend}")
