"""New chunks of `qa` beside a cube until all are there, then in place of the old ones."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sits_data.cube import QA_SETTINGS, RECOMPUTE, RawCube
from sits_data.errors import OutputExists
from sits_data.ledger import Ledger, Unit, Written, open_ledger, state_folder
from sits_data.mask import QaSettings
from sits_data.output import write_atomically
from sits_data.units import chunk_file, chunk_of


@contextmanager
def alone(path: Path) -> Iterator[Ledger | None]:
    """Hold a cube: no other process makes its `qa` anew, and none builds it; gives its ledger.

    Raises:
        OutputExists: another process holds it.
    """
    with ExitStack() as stack:
        if path.is_dir():
            folder = os.open(path, os.O_RDONLY)
            stack.callback(os.close, folder)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputExists(f"another process is masking {path}; wait for it") from error
        ledger = state_folder(path) / "ledger.jsonl"
        yield stack.enter_context(open_ledger(ledger)) if ledger.is_file() else None


def _staging(path: Path) -> Path:
    """Beside the cube, so that no reader of it comes across unfinished chunks."""
    return path.with_name(f".{path.name}.qa")


def stage(raw: RawCube, settings: QaSettings) -> Path:
    """The folder for new chunks; one of other work is emptied."""
    staging = _staging(raw.path)
    work = json.dumps({"plan": raw.attributes["plan"], **settings.model_dump()}).encode()
    note = staging / "work.json"
    if not note.is_file() or note.read_bytes() != work:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        write_atomically(note, work)
    return staging


def qa_file(folder: Path, unit: Unit) -> Path:
    """Where a unit's chunk of `qa` lies in a cube, or in what is staged for it."""
    return chunk_file(folder, "qa", chunk_of("qa", unit))


def is_staged(path: Path, unit: Unit) -> bool:
    """Whether a unit's new chunk is there, and made after the cube's own."""
    new, old = qa_file(_staging(path), unit), qa_file(path, unit)
    return new.is_file() and new.stat().st_mtime_ns >= old.stat().st_mtime_ns


def swap(path: Path, settings: QaSettings, ledger: Ledger | None) -> None:
    """Replace the chunks of `qa` by staged ones; until that is done the cube is not opened."""
    _edit_attributes(path, {RECOMPUTE: settings.model_dump()})
    finish_swap(path, ledger)


def finish_swap(path: Path, ledger: Ledger | None) -> None:
    """Put staged chunks in place of the old ones, where the cube says that they are all there.

    Only when the ledger knows their checksums is the cube opened again: none takes it for damaged.
    """
    metadata = path / "zarr.json"
    attributes = json.loads(metadata.read_bytes()).get("attributes", {}) if metadata.is_file() else {}
    if RECOMPUTE not in attributes:
        return
    staging, chunks = _staging(path), path / "qa" / "c"
    if (staging / "qa" / "c").is_dir():
        if chunks.is_dir():
            chunks.rename(staging / "old")
        (staging / "qa" / "c").rename(chunks)
    if ledger is not None:
        _note_checksums(path, ledger)
    _edit_attributes(path, {QA_SETTINGS: attributes[RECOMPUTE], RECOMPUTE: None})
    shutil.rmtree(staging, ignore_errors=True)


def _note_checksums(path: Path, ledger: Ledger) -> None:
    """Tell a cube's ledger what its chunks of `qa` are now."""
    for row in list(ledger.rows.values()):
        if "qa" in row.files:
            data = qa_file(path, row.unit).read_bytes()
            written = Written.of(data)
            ledger.record(replace(row, files={**row.files, "qa": written}))


def _edit_attributes(path: Path, changes: Mapping[str, Any]) -> None:
    """Change attributes of the group, atomically; None takes one away."""
    metadata = json.loads((path / "zarr.json").read_bytes())
    attributes = metadata["attributes"] | changes
    metadata["attributes"] = {name: value for name, value in attributes.items() if value is not None}
    write_atomically(path / "zarr.json", json.dumps(metadata, indent=2).encode())
