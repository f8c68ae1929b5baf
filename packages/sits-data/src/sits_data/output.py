"""Writing without surprises: whole files or none, and one line when the system says no."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sits_data.errors import OutputNotWritable, SitsDataError


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write into `OutputNotWritable`, one line that helps."""
    try:
        yield
    except SitsDataError:
        raise
    except PermissionError as error:
        raise OutputNotWritable(
            f"no permission to write {path}; choose another place with --out"
        ) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputNotWritable(
            f"cannot write {path} ({reason}); make room or choose another place with --out, then run "
            "the same command again: what is finished is kept"
        ) from error


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file under another name and rename it into place."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
