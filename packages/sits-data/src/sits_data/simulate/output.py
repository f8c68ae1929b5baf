"""The folder of a simulated catalogue: whole or not there at all."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sits_data.errors import OutputExists, OutputNotWritable

MARKER = "simulation.json"
GENERATOR = "sits_data.simulate"


@contextmanager
def new_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A scratch folder beside `out` that takes its name when the block ends well, else is removed.

    Raises:
        OutputExists: `out` exists and may not be replaced; only simulated catalogues ever are.
        OutputNotWritable: no permission, or the disk is full.
    """
    check_free(out, overwrite=overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            folder = scratch / out.name
            folder.mkdir()
            yield folder
            check_free(out, overwrite=overwrite)
            if out.exists():
                out.rename(scratch / "replaced")
            folder.rename(out)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except PermissionError as error:
        raise OutputNotWritable(f"no permission to write {out}; choose another folder") from error
    except OSError as error:
        if isinstance(error, OutputExists):
            raise
        reason = error.strerror or str(error)
        raise OutputNotWritable(
            f"cannot write {out} ({reason}); make room or choose another folder"
        ) from error


def check_free(out: Path, *, overwrite: bool) -> None:
    """Make sure that a new folder may take this name.

    Raises:
        OutputExists: something is there that must not be replaced.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not _is_simulated(out):
        raise OutputExists(f"{out} exists and is not a simulated catalogue; choose another folder")
    if not overwrite:
        raise OutputExists(f"{out} exists; use --overwrite to replace it, or choose another folder")


def _is_simulated(folder: Path) -> bool:
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        isinstance(content, dict) and content.get("generator") == GENERATOR and not folder.is_symlink()
    )
