"""A trainer with our habits, and training that ends in one line when it cannot go on."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerStatus

from sits_data.threads import available_cores
from sits_models.errors import InvalidConfig, MissingDevice, NotARun
from sits_models.fit.diverged import StopDiverged
from sits_models.fit.keep import KeepLast, steps_done
from sits_models.fit.metrics_file import MetricsFile
from sits_models.fit.progress import StepsBar
from sits_models.runs import LAST

# How Lightning says that hardware is missing; it has no class of its own for that.
_MISSING = ("can not run on your system", "No supported gpu backend", "But your machine only has")
_LIGHTNING = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


def make_trainer(
    settings: dict[str, Any],
    folder: Path,
    *,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    resume: bool = False,
) -> Trainer:
    """A trainer that logs and keeps its state in a run folder.

    Args:
        settings: arguments of `lightning.Trainer`, as `Config.instantiate` makes them; loggers and
            callbacks among them are used besides ours.
        folder: of the run.
        callbacks: more of ours.
        progress: show a bar on stderr.
        resume: rows that were logged before the last kept state stay.

    Raises:
        MissingDevice: the accelerator that was asked for is not there.
        InvalidConfig: the trainer refuses a setting.
    """
    done = steps_done(folder / LAST) if resume else 0
    loggers: list[Any] = [
        MetricsFile(folder, keep=done),
        TensorBoardLogger(
            folder, name="tensorboard", version="", default_hp_metric=False, purge_step=done or None
        ),
    ]
    theirs = settings.get("logger")
    if isinstance(theirs, list):
        loggers += theirs
    elif theirs not in (None, True, False):
        loggers.append(theirs)
    ours: list[Callback] = [StopDiverged(), *callbacks]
    keeping = settings.get("enable_checkpointing") is not False
    if keeping:
        ours.append(KeepLast(folder))
    if progress:
        ours.append(StepsBar())
    given = settings.get("callbacks") or []
    made = {
        **settings,
        "callbacks": [*(given if isinstance(given, list) else [given]), *ours],
        "logger": [] if theirs is False else loggers,
        "enable_progress_bar": progress,
        "enable_checkpointing": keeping,
        "default_root_dir": folder,
    }
    with _quiet(), _plainly():
        try:
            trainer = Trainer(**made)
        except (ModuleNotFoundError, TypeError, ValueError) as error:
            raise _refused(error) from error
    cores = available_cores()
    if trainer.strategy.root_device.type == "cpu" and trainer.num_devices > cores:
        raise InvalidConfig(
            f"--devices must be at most the {cores} cores on a CPU, got {trainer.num_devices}; one "
            "process uses all of them"
        )
    return trainer


def train(
    trainer: Trainer, model: LightningModule, data: LightningDataModule, *, resume: Path | None = None
) -> None:
    """Fit, quietly.

    Args:
        trainer: of `make_trainer`.
        model: to train.
        data: to train on.
        resume: the state to go on from; it is read without unpickling.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM.
        InvalidConfig: the trainer refuses a setting.
        TrainingDiverged: weights are not finite at the end of an epoch.
        NotARun: the state to go on from is damaged, or of another model.
    """
    with _quiet(), _plainly():
        try:
            trainer.fit(model, data, ckpt_path=resume, weights_only=True)
        except SystemExit as stop:
            # Lightning ends the process itself on Ctrl-C and leaves the signal ignored.
            if trainer.state.status == TrainerStatus.INTERRUPTED:
                raise KeyboardInterrupt from stop
            raise


def check_state(file: Path) -> None:
    """Make sure that a kept state can be read.

    Raises:
        NotARun: it cannot.
    """
    from pickle import UnpicklingError

    try:
        steps_done(file)
    except (UnpicklingError, RuntimeError, OSError, KeyError, EOFError) as error:
        raise NotARun(
            f"{file} must hold the state of a run, it is damaged or of something else; begin again "
            "with --overwrite"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's tips and its lines on the hardware that is there."""
    loggers = [logging.getLogger(name) for name in _LIGHTNING]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            # Loaders here are index lists: workers would only cost time.
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            # A method needs no validation; the datamodule offers it to tasks.
            warnings.filterwarnings("ignore", message="You passed in a `val_dataloader` but have no")
            # A frozen backbone is, on purpose.
            warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")
            # Lightning 2.6 under torch 2.15.
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
            # "auto" decides; who wants another device says so.
            warnings.filterwarnings("ignore", message="GPU available but not used")
            warnings.filterwarnings("ignore", message="MPS available but not used")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what Lightning refuses into errors of ours."""
    try:
        yield
    except MisconfigurationException as error:
        text = " ".join(str(error).split())
        if any(words in text for words in _MISSING):
            raise MissingDevice(
                f"the device that was asked for is not there ({text}); use --accelerator auto or cpu"
            ) from error
        raise _refused(error) from error


def _refused(error: Exception) -> InvalidConfig:
    return InvalidConfig(f"the trainer refuses a setting: {' '.join(str(error).split())}")
