"""`maps.json` in a run's folder: which maps were drawn with it."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from sits_data.errors import OutputNotWritable
from sits_data.manifest import LabelClass
from sits_data.output import write_atomically, writing_to

MAPS: Final = "maps.json"

_log = logging.getLogger("sits_models")


class MapNote(BaseModel, frozen=True):
    """One map.

    Args:
        path: of `map.tif`, from the run's folder.
        cube: that was mapped, from the run's folder.
        classes: by index.
    """

    path: str
    cube: str
    classes: tuple[LabelClass, ...]


_NOTES = TypeAdapter(tuple[MapNote, ...])


def note_map(checkpoint: Path, out: Path, *, cube: Path, classes: Sequence[LabelClass]) -> None:
    """Remember a map in the folder of the checkpoint that drew it; the newest comes first.

    A folder that cannot be written, such as one that was shared, is told in the log: the map is done.

    Args:
        checkpoint: a run folder, or weights in it.
        out: the map.
        cube: that was mapped.
        classes: by index.
    """
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    path = os.path.relpath(out.absolute(), folder.absolute())
    new = MapNote(
        path=path, cube=os.path.relpath(cube.absolute(), folder.absolute()), classes=tuple(classes)
    )
    notes = (new, *(note for note in read_notes(folder) if note.path != path))
    try:
        with writing_to(folder / MAPS):
            write_atomically(folder / MAPS, _NOTES.dump_json(notes, indent=2))
    except OutputNotWritable as error:
        _log.warning("the map is not noted for the report, give it to report with --map: %s", error)


def read_notes(folder: Path) -> tuple[MapNote, ...]:
    """The maps that were drawn with a run, newest first; none where nothing readable says so."""
    try:
        return _NOTES.validate_json((folder / MAPS).read_bytes())
    except (OSError, ValidationError):
        return ()
