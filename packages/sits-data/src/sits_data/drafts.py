"""A folder that is being written: under another name, with a log of what is done.

What a crash leaves behind is continued by the same work, and thrown away by any other.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO

from sits_data.errors import OutputExists
from sits_data.output import check_free, replace_folder, writing_to

_REPLACED = "replaced"


@dataclass
class Draft:
    """A folder as far as it is written.

    Args:
        folder: where its files are; on the disk of the finished folder.
        done: names of finished steps.
        log: a line for each of them.
        lock: of the log.
    """

    folder: Path
    done: set[str]
    log: IO[str]
    lock: Lock = field(default_factory=Lock)

    def finish(self, step: str) -> None:
        """Note that a step's files are in place."""
        with self.lock:
            self.log.write(f"{step}\n")
            self.log.flush()
            self.done.add(step)


@contextmanager
def drafting(
    out: Path, work: str, *, what: str, is_one: Callable[[Path], bool], overwrite: bool
) -> Iterator[Draft]:
    """Write a folder beside `out`; it takes that name when the block ends well.

    If not, what was finished stays in the hidden folder `.NAME.partial`.

    Args:
        out: the folder to make.
        work: one line that names everything that decides its bytes; a draft of other work is thrown
            away.
        what: what it will be, such as `a planar store`.
        is_one: tells whether a folder is one; only these are ever replaced.
        overwrite: replace the one that is there.

    Raises:
        OutputExists: `out` exists and may not be replaced, or another process is writing it.
        OutputNotWritable: no permission, or the disk is full.
    """
    with writing_to(out):
        check_free(out, what, is_one, overwrite=overwrite)
        scratch = out.with_name(f".{out.name}.partial")
        scratch.mkdir(parents=True, exist_ok=True)
        with (scratch / "log").open("a+") as log:
            _lock(log, out)
            draft = _resume(scratch / out.name, work, log)
            try:
                yield draft
                check_free(out, what, is_one, overwrite=overwrite)
                replace_folder(draft.folder, out, scratch / _REPLACED)
                draft.done.clear()
            finally:
                if not draft.done:
                    shutil.rmtree(scratch, ignore_errors=True)


def _lock(log: IO[str], out: Path) -> None:
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputExists(
            f"another process is writing {out}; wait for it, or choose another --out"
        ) from error


def _resume(folder: Path, work: str, log: IO[str]) -> Draft:
    # What a run that replaced a folder was about to delete when it was killed.
    shutil.rmtree(folder.with_name(_REPLACED), ignore_errors=True)
    log.seek(0)
    found, *steps = log.read().split("\n")
    if found == work and folder.is_dir():
        # What follows the last line break was cut off by a crash.
        return Draft(folder, set(steps[:-1]), log)
    shutil.rmtree(folder, ignore_errors=True)
    os.ftruncate(log.fileno(), 0)
    folder.mkdir()
    log.write(f"{work}\n")
    log.flush()
    return Draft(folder, set(), log)
