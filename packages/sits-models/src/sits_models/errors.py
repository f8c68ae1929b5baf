"""What can go wrong in training and judging, by name; the command line turns each into one line.

Like those of sits-data, every class is also the builtin that a reader would expect.
"""

from sits_data.errors import SitsDataError


class UnknownName(SitsDataError, LookupError):
    """No method, backbone, task or dataset of that name is registered."""


class InvalidConfig(SitsDataError, ValueError):
    """A setting is unknown, out of its range, or contradicts another."""

    exit_code = 2


class NotACheckpoint(SitsDataError, ValueError):
    """The path does not hold a checkpoint that this version reads."""


class CheckpointMismatch(SitsDataError, ValueError):
    """The data is not what the checkpoint was trained on: bands, units or resolution differ."""


class MissingDevice(SitsDataError, RuntimeError):
    """The accelerator that was asked for is not there."""


class TrainingDiverged(SitsDataError, ArithmeticError):
    """The weights have become infinite or no numbers."""


class LeakyFolds(SitsDataError, ValueError):
    """Training saw what a fold tests on."""


class TooFewLabels(SitsDataError, ValueError):
    """Labels are missing, have one class, or cannot be split as asked."""


class RunExists(SitsDataError, FileExistsError):
    """The run folder holds a run already."""


class NotARun(SitsDataError, ValueError):
    """The path does not hold a run of this version."""
