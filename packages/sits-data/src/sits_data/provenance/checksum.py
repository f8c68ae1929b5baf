"""Checksums as STAC wants them, of files and of whole folders."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sits_data.threads import available_cores

_SHA256 = "1220"
"""Multihash: the code of sha2-256, and its length of 32 bytes."""


def multihash(sha256: str) -> str:
    """A SHA-256 in hexadecimal as a multihash.

    Source: STAC file extension 2.1.0, `file:checksum`; multiformats/multihash.
    """
    return _SHA256 + sha256


def file_digest(file: Path) -> str:
    """SHA-256 of one file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def folder_digests(folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """SHA-256 of each file of a folder by its path inside, read on all cores.

    Args:
        folder: where the files lie.
        known: digests that somebody kept; these files are not read.
    """
    kept = known or {}
    names = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]

    def digest(name: str) -> str:
        return kept[name] if name in kept else file_digest(folder / name)

    with ThreadPoolExecutor(available_cores()) as pool:
        return dict(zip(names, pool.map(digest, names), strict=True))


def combine(digests: Mapping[str, str]) -> str:
    """One SHA-256 of many files: that of what `sha256sum` prints for them, sorted by path.

    In a shell, inside the folder:
    `find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum`.

    Args:
        digests: SHA-256 of each file, by its path.
    """
    ordered = sorted(digests, key=str.encode)
    text = "".join(f"{digests[name]}  {name}\n" for name in ordered)
    return hashlib.sha256(text.encode()).hexdigest()
