"""A folder that appears whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sits_data.errors import NotAStore, OutputExists, OutputNotWritable
from sits_data.store.read import read_manifest_json

_REFUSALS = {
    errno.EACCES, errno.EPERM, errno.EROFS,  # no permission
    errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG,  # no such place
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG,  # no room
}  # fmt: skip


@contextmanager
def new_store_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `out`, renamed to it when the block ends well and removed otherwise.

    Raises:
        OutputExists: something is there; with `overwrite`, something that is not a planar store.
        OutputNotWritable: no permission, or the disk is full.
    """
    _check_free(out, overwrite=overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        try:
            yield partial
            partial.chmod(0o777 & ~_umask())
            _replace(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise OutputNotWritable(
            f"cannot write {out} ({os.strerror(error.errno)}); make room or choose another place with "
            "--out"
        ) from error


def _check_free(out: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise OutputExists(f"{out} exists; give --overwrite to replace it, or another --out")
    try:
        read_manifest_json(out)
    except NotAStore as error:
        raise OutputExists(
            f"{out} exists and is not a planar store, so it is not replaced; give another --out"
        ) from error


def _replace(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
    out.rename(old / out.name)
    try:
        partial.rename(out)
    except OSError:
        (old / out.name).rename(out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
