"""The folder of a run: what was asked for, how it went, what came out.

`run.json` here; `config.yaml`, `metrics.csv`, `tensorboard/`, `checkpoints/last.ckpt`, the checkpoint
and `scores.json` come from those who make them.
"""

import os
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ValidationError

from sits_data.output import write_atomically, writing_to
from sits_models.errors import NotARun, RunExists

RUN: Final = "run.json"
CONFIG: Final = "config.yaml"
METRICS: Final = "metrics.csv"
LAST: Final = "checkpoints/last.ckpt"
FORMAT: Final = "sits-models run"

Status = Literal["running", "finished", "interrupted", "failed"]

# Set by Lightning, torchrun and SLURM where several processes train together.
_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
_PACKAGES = ("sits-models", "sits-data", "torch", "lightning", "torchgeo", "lightly", "numpy")


class RunRecord(BaseModel, frozen=True):
    """What `run.json` says.

    Args:
        format: of this file.
        kind: the command: pretrain, peer, probe, finetune.
        command: the words that started it.
        started, finished: ISO times, UTC; `finished` also of one that failed, None of one killed.
        status: a killed run stays "running".
        seed: of all its draws.
        device: in words.
        versions: of the packages that matter, and of Python.
        seconds: of all starts of this run together.
        resumed: how often it was continued.
    """

    format: Literal["sits-models run"] = FORMAT
    kind: str
    command: tuple[str, ...]
    started: str
    finished: str | None = None
    status: Status = "running"
    seed: int
    device: str = "cpu"
    versions: dict[str, str]
    seconds: float = 0
    resumed: int = 0


def leads() -> bool:
    """Whether this process keeps the run folder: the only one, or the first of several.

    Others see the folder that the first has made, and leave it alone.
    """
    return next((os.environ[name] == "0" for name in _RANKS if name in os.environ), True)


@contextmanager
def new_run(
    out: Path,
    *,
    kind: str,
    command: Sequence[str],
    seed: int,
    device: str = "cpu",
    overwrite: bool = False,
    resume: bool = False,
) -> Iterator[Path]:
    """The folder of a run, whose `run.json` tells how the block ended; kept by the process that `leads`.

    Args:
        out: the folder; made if need be.
        kind: the command.
        command: the words that started it.
        seed: of all its draws.
        device: in words.
        overwrite: delete a run that is there.
        resume: continue an unfinished run that is there.

    Raises:
        RunExists: the folder holds something else, a finished run, or one that was not to be resumed.
        NotARun: there is nothing to resume.
        OutputNotWritable: no permission, or the disk is full.
    """
    if not leads():
        yield out
        return
    before = check_free(out, overwrite=overwrite, resume=resume)
    began = time.monotonic()
    with writing_to(out):
        if overwrite and out.exists():
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
    record = RunRecord(
        kind=kind,
        command=tuple(command),
        started=before.started if before else _now(),
        seed=seed,
        device=device,
        versions={name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        resumed=before.resumed + 1 if before else 0,
        seconds=before.seconds if before else 0,
    )
    _write(out, record)
    status: Status = "failed"
    try:
        yield out
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        seconds = round(record.seconds + time.monotonic() - began, 3)
        ended = {"status": status, "finished": _now(), "seconds": seconds}
        _write(out, record.model_copy(update=ended))


def check_free(
    out: Path, *, overwrite: bool, resume: bool, reads: Sequence[Path | str] = ()
) -> RunRecord | None:
    """Make sure that a run may be written there; only the process that `leads` asks.

    Args:
        out: the folder.
        overwrite: a run that is there would be deleted.
        resume: an unfinished run that is there would be continued.
        reads: files and folders that the run needs: nothing is deleted that holds one of them.

    Returns:
        The record of the unfinished run that is to be continued, else None.

    Raises:
        RunExists, NotARun: as `new_run`.
    """
    if not leads():
        return None
    if resume:
        before = read_run(out)
        if before.status == "finished":
            raise RunExists(f"{out} is finished, there is nothing to resume; --overwrite begins again")
        return before
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        before = read_run(out)
    except NotARun as error:
        raise RunExists(f"{out} exists and is not a run; choose another place with --out") from error
    if not overwrite:
        state = "a finished run" if before.status == "finished" else "an unfinished run"
        # Only pretraining takes long enough to be kept on the way.
        again = before.status != "finished" and before.kind == "pretrain"
        hint = "; continue it with --resume" if again else ""
        raise RunExists(f"{out} is {state}{hint}; --overwrite begins again, --out chooses another place")
    for path in map(Path, reads):
        if out.resolve() in (path.resolve(), *path.resolve().parents):
            raise RunExists(
                f"{out} holds {path}, which this run reads and --overwrite would delete; choose "
                "another place with --out"
            )
    return None


def read_run(folder: Path | str) -> RunRecord:
    """The record of a run.

    Raises:
        NotARun: there is none that this version reads.
    """
    file = Path(folder) / RUN
    try:
        return RunRecord.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise NotARun(
            f"a run is a folder with a {RUN} of this version, {folder} has none; give what --out named"
        ) from error


def _write(folder: Path, record: RunRecord) -> None:
    with writing_to(folder):
        write_atomically(folder / RUN, record.model_dump_json(indent=2).encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
