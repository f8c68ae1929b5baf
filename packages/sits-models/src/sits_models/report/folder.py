"""What lies in a run's folder, read for its report; whatever a run did not write is None or empty."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sits_data.errors import SitsDataError
from sits_data.store import PlanarStore, open_store
from sits_models.bench.scores import SCORES, Scores
from sits_models.checkpoint import CARD, ModelCard, read_card
from sits_models.errors import NotARun
from sits_models.report.files import Arrays, Series, read_arrays, read_metrics, read_scores
from sits_models.runs import METRICS, RUN, RunRecord, read_run

VIEWS: Final = "views.npz"
EMBEDDING: Final = "embedding.npz"
_MAPS: Final = "maps.json"
_KNOWN = (RUN, CARD, SCORES, METRICS)


@dataclass(frozen=True)
class RunFolder:
    """A run, or what a probe left in a folder within it.

    Args:
        path: the folder.
        record: how it was started and how it ended.
        card: of its checkpoint.
        scores: beside their floors.
        metrics: what was logged, by the folder below `path` that logged it (`""`,
            `folds/pretrained-1`), by name.
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
        return f"{path.parent.name}/{path.name}" if is_run(path.parent) else path.name


def is_run(folder: Path) -> bool:
    """Whether a folder is a run, or what a probe left in one."""
    return any((folder / name).is_file() for name in _KNOWN)


def read_folders(paths: Iterable[Path]) -> list[RunFolder]:
    """Runs, each followed by those in folders within it, such as `probe/`.

    Raises:
        NotARun: a path is no run, or a file in it is damaged.
        NotACheckpoint: a card is damaged, or of another version.
    """
    found: list[Path] = []
    for path in paths:
        if not is_run(path):
            raise NotARun(
                f"a run is a folder with {RUN}, {CARD} or {SCORES}, {path} has none; "
                "give what --out named"
            )
        inner = sorted(file.parent for file in path.glob(f"*/{RUN}"))
        inner += [file.parent for file in sorted(path.glob(f"*/{SCORES}")) if file.parent not in inner]
        known = {folder.resolve() for folder in found}
        found += [folder for folder in (path, *inner) if folder.resolve() not in known]
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
    named = named.parent if named.suffix == ".safetensors" else named
    beside = [above / named.name for above in folder.path.resolve().parents[:2]]
    return next((place for place in (named, *beside) if (place / CARD).is_file()), None)


def find_stores(folder: RunFolder, others: Iterable[RunFolder]) -> list[PlanarStore]:
    """The stores that a run's card and scores name, or else its command, as far as they are still there.

    A card has the name of a store alone. It is looked for where the run's command or scores say that it
    lay, and near the run; then where and near the other runs.
    """
    named = [str(one["store"]) for one in folder.card.data if "store" in one] if folder.card else []
    named += [folder.scores.store] if folder.scores else []
    if not named:
        named = [Path(word).name for word in _words(folder) if word.endswith(".planar")]
    found: dict[Path, PlanarStore] = {}
    for name in named:
        for place in _places(Path(name), [folder, *others]):
            try:
                store = open_store(place)
            except SitsDataError:
                continue
            found.setdefault(store.path.resolve(), store)
            break
    return list(found.values())


def _places(store: Path, folders: Iterable[RunFolder]) -> Iterator[Path]:
    """Where a store may be; most of these do not exist."""
    for folder in folders:
        said = [folder.scores.store] if folder.scores else []
        said += [*_words(folder), str(store)]
        yield from (Path(text) for text in said if Path(text).name == store.name)
        yield from (above / store.name for above in folder.path.resolve().parents[:4])


def _words(folder: RunFolder) -> list[str]:
    """What the command of a run says, without the options' names."""
    return [word.rpartition("=")[2] for word in folder.record.command] if folder.record else []


def _read(path: Path) -> RunFolder:
    metrics = {
        str(file.parent.relative_to(path)).removeprefix("."): read_metrics(file)
        for file in [path / METRICS, *sorted(path.glob(f"folds/*/{METRICS}"))]
        if file.is_file()
    }
    return RunFolder(
        path=path,
        record=read_run(path) if (path / RUN).is_file() else None,
        card=read_card(path) if (path / CARD).is_file() else None,
        scores=read_scores(path / SCORES),
        metrics={name: series for name, series in metrics.items() if series},
        views=read_arrays(path / VIEWS, ("image", "clear", "dates", "pad_mask", "bands")),
        embedding=read_arrays(path / EMBEDDING, ("embedding", "label", "yx")),
        maps=_maps(path),
    )


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
