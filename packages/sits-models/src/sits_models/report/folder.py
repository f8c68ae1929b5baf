"""What lies in a run's folder, read for its report; whatever a run did not write is None or empty."""

import csv
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sits_data.errors import SitsDataError
from sits_data.store import PlanarStore, open_store
from sits_models.bench.scores import SCORES, Scores
from sits_models.checkpoint import CARD, ModelCard, read_card
from sits_models.errors import NotARun
from sits_models.runs import METRICS, RUN, RunRecord, read_run

VIEWS: Final = "views.npz"
EMBEDDING: Final = "embedding.npz"
_MAPS: Final = "maps.json"
_KNOWN = (RUN, CARD, SCORES, METRICS)

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


@dataclass(frozen=True)
class RunFolder:
    """A run, or what a probe left in a folder within it.

    Args:
        path: the folder.
        record: how it was started and how it ended.
        card: of its checkpoint.
        scores: beside their floors.
        metrics: what was logged, by the folder below `path` that logged it (`""`, `fold-1`), by name.
        views: arrays of `views.npz`.
        embedding: arrays of `embedding.npz`.
        maps: that were drawn with its checkpoint and are still there, newest first, each with its cube.
    """

    path: Path
    record: RunRecord | None
    card: ModelCard | None
    scores: Scores | None
    metrics: dict[str, dict[str, Series]]
    views: Arrays | None
    embedding: Arrays | None
    maps: Mapping[Path, Path]

    @property
    def name(self) -> str:
        """For headings: the folder's name, with the run's before it where it lies in one."""
        path = self.path.resolve()
        inside = any((path.parent / name).is_file() for name in _KNOWN)
        return f"{path.parent.name}/{path.name}" if inside else path.name


def read_folders(paths: Iterable[Path]) -> list[RunFolder]:
    """Runs, each followed by those in folders within it, such as `probe/`.

    Raises:
        NotARun: a path is no run, or a file in it is damaged.
        NotACheckpoint: a card is damaged, or of another version.
    """
    found = []
    for path in paths:
        if not any((path / name).is_file() for name in _KNOWN):
            raise NotARun(
                f"a run is a folder with {RUN}, {CARD} or {SCORES}, {path} has none; "
                "give what --out named"
            )
        inner = sorted(file.parent for file in path.glob(f"*/{RUN}"))
        inner += [file.parent for file in sorted(path.glob(f"*/{SCORES}")) if file.parent not in inner]
        found += [folder for folder in (path, *inner) if folder not in found]
    return [_read(folder) for folder in found]


def with_parents(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """Runs, before them those that their training began with, as far as these are still there."""
    found = list(folders)
    known = {folder.path.resolve() for folder in found}
    todo = list(folders)
    while todo:
        folder = todo.pop()
        parent = _find_parent(folder)
        if parent is None or parent.resolve() in known:
            continue
        new = [one for one in read_folders([parent]) if one.path.resolve() not in known]
        known |= {one.path.resolve() for one in new}
        found, todo = new + found, todo + new
    return found


def _find_parent(folder: RunFolder) -> Path | None:
    """The run that a card names: where it lay, or beside this one."""
    if folder.card is None or not folder.card.parent:
        return None
    named = Path(folder.card.parent)
    named = named.parent if named.suffix else named
    beside = [above / named.name for above in folder.path.resolve().parents[:2]]
    return next((place for place in (named, *beside) if (place / CARD).is_file()), None)


def find_store(name: str, folders: Iterable[RunFolder]) -> PlanarStore | None:
    """The store that a card or score names, where it lay or near a run; None when it is not there."""
    near = [parent for folder in folders for parent in (folder.path.resolve().parents[:4])]
    for place in (Path(name), *(folder / Path(name).name for folder in (Path.cwd(), *near))):
        try:
            return open_store(place)
        except SitsDataError:
            continue
    return None


def _read(path: Path) -> RunFolder:
    metrics = {
        str(file.parent.relative_to(path)).removeprefix("."): _read_metrics(file)
        for file in sorted([path / METRICS, *path.glob(f"*/{METRICS}")])
        if file.is_file() and (file.parent == path or not (file.parent / RUN).is_file())
    }
    return RunFolder(
        path=path,
        record=read_run(path) if (path / RUN).is_file() else None,
        card=read_card(path) if (path / CARD).is_file() else None,
        scores=_read_scores(path / SCORES),
        metrics={name: series for name, series in metrics.items() if series},
        views=_read_arrays(path / VIEWS, ("image", "clear", "dates", "pad_mask", "bands")),
        embedding=_read_arrays(path / EMBEDDING, ("embedding", "label", "yx")),
        maps=_maps(path),
    )


def _read_scores(file: Path) -> Scores | None:
    if not file.is_file():
        return None
    try:
        return Scores.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise _damaged(file, error, "run probe or finetune again") from error


def _read_metrics(file: Path) -> dict[str, Series]:
    """Columns of numbers; a last row that was cut off by a kill is left out."""
    found: dict[str, list[tuple[int, float]]] = {}
    try:
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
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


def _read_arrays(file: Path, wanted: tuple[str, ...]) -> Arrays | None:
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(file, error, "delete it, or train again") from error
    if missing := [name for name in wanted if name not in found]:
        raise _damaged(file, f"it lacks {', '.join(missing)}", "delete it, or train again")
    return found


def _maps(path: Path) -> dict[Path, Path]:
    if not (path / _MAPS).is_file():
        return {}
    from sits_models.predict.notes import read_notes  # imports torch, which is not needed otherwise

    notes = read_notes(path)
    return {
        Path(os.path.normpath(path / note.path)): Path(os.path.normpath(path / note.cube))
        for note in notes
        if (path / note.path).is_file()
    }


def _damaged(file: Path, why: object, mend: str) -> NotARun:
    text = " ".join(str(why).split())
    return NotARun(f"{file} must be what this version writes, it cannot be read ({text}); {mend}")
