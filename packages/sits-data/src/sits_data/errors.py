"""What can go wrong, by name.

Every class is also the builtin that a reader would expect (a missing scene is a `LookupError`), so
library users may catch either. The command line turns each into one line and `exit_code`.
Messages say what must hold, what came, and what to do.
"""


class SitsDataError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class InvalidAOI(SitsDataError, ValueError):
    """The area of interest, or another vector file, cannot be used as it is."""


class InvalidRequest(SitsDataError, ValueError):
    """An argument is out of its range, or two arguments contradict each other."""


class CatalogError(SitsDataError, OSError):
    """A catalogue is unreachable, is not STAC, or answers nonsense."""


class EmptySearch(SitsDataError, LookupError):
    """No scene fits the query."""


class MissingBand(SitsDataError, LookupError):
    """A band is unknown, or the catalogue does not offer it."""


class MissingArray(SitsDataError, LookupError):
    """A cube or a Dataset lacks an array that is needed, such as `scl`."""


class UnknownRadiometry(SitsDataError, ValueError):
    """Nothing says which radiometric offset a scene carries."""


class UnreadableSource(SitsDataError, OSError):
    """A raster of the catalogue cannot be read."""


class DeadlinePassed(UnreadableSource, TimeoutError):
    """A raster was not read in the time that it had."""


class UnknownDetector(SitsDataError, LookupError):
    """No cloud detector has that name."""


class DetectorUnavailable(SitsDataError, ImportError):
    """A cloud detector needs a package that is not installed."""


class OutputExists(SitsDataError, FileExistsError):
    """The output is there already and is not the same work."""


class OutputNotWritable(SitsDataError, OSError):
    """The output cannot be written: no permission, or the disk is full."""


class SchedulerError(SitsDataError, OSError):
    """A Dask cluster does not answer, or lost its workers."""


class UnfinishedFields(SitsDataError, RuntimeError):
    """The cubes of some features could not be built."""

    exit_code = 4


class NotACube(SitsDataError, ValueError):
    """The path does not hold a cube that this version reads."""


class IncompleteCube(SitsDataError, RuntimeError):
    """The cube is unfinished."""


class DamagedCube(SitsDataError, ValueError):
    """A chunk of a cube cannot be read or decoded."""


class NotAStore(SitsDataError, ValueError):
    """The path does not hold a planar store that this version reads."""


class DamagedStore(SitsDataError, ValueError):
    """A file of a planar store is missing or differs from its manifest."""


class InvalidLabels(SitsDataError, ValueError):
    """Regions or labels cannot be used as they are."""
