"""Writing without surprises: whole or not at all, and one line when the system says no."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sits_data.errors import OutputExists, OutputNotWritable, SitsDataError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write into `OutputNotWritable`, one line that helps."""
    try:
        yield
    except SitsDataError:
        raise
    except PermissionError as error:
        raise OutputNotWritable(f"no permission to write {path}; choose another place") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        mend = "make room or choose" if error.errno in _NO_ROOM else "choose"
        raise OutputNotWritable(
            f"cannot write {path} ({reason}); {mend} another place, then run the same command again"
        ) from error


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file under another name and rename it into place; of two writers the later one wins."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(
    out: Path, *, what: str, is_one: Callable[[Path], bool], overwrite: bool
) -> Iterator[Path]:
    """A scratch folder beside `out` that takes its name when the block ends well, else is removed.

    Args:
        out: the folder to make.
        what: what it will be, such as `a planar store`.
        is_one: tells whether a folder is one; only these are ever replaced.
        overwrite: replace the one that is there.

    Raises:
        OutputExists: `out` exists and may not be replaced.
        OutputNotWritable: no permission, or the disk is full.
    """
    with writing_to(out):
        check_free(out, what, is_one, overwrite=overwrite)
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        try:
            folder = scratch / out.name
            folder.mkdir()
            yield folder
            check_free(out, what, is_one, overwrite=overwrite)
            replace_folder(folder, out, scratch / "replaced")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def check_free(out: Path, what: str, is_one: Callable[[Path], bool], *, overwrite: bool) -> None:
    """Stop if something is at `out` that may not be replaced.

    Raises:
        OutputExists: it is.
    """
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not is_one(out):
        raise OutputExists(f"{out} exists and is not {what}; choose another place")
    if not overwrite:
        raise OutputExists(f"{out} exists; replace it with --overwrite, or choose another place")


def replace_folder(folder: Path, out: Path, old: Path) -> None:
    """Give a folder the name `out`; what had it goes to `old`, and comes back if that fails."""
    if not out.exists():
        folder.rename(out)
        return
    out.rename(old)
    try:
        folder.rename(out)
    except OSError:
        old.rename(out)
        raise
