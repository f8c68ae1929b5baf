"""The frozen plan of a cube: everything that a worker needs, and one hash that names the work."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from sits_data.aoi import Feature
from sits_data.errors import NotACube
from sits_data.grid import Grid
from sits_data.mask import MaskName, Refinement
from sits_data.output import write_atomically
from sits_data.scenes import Dropped, Scene


class Request(BaseModel, frozen=True):
    """What the user asked for; two equal requests mean the same cube.

    Args:
        catalog: name, address or path of the catalogue.
        collection: its collection.
        start, end: first and last day, both included.
        bands: canonical ids, in the cube's order.
        grid: the cube's grid.
        max_cloud_pct: scenes with a higher `eo:cloud_cover` are left out.
        refinement: how clouds, shadows and cirrus are shrunk and widened in `qa`.
        min_clear: days with a smaller clear fraction over the features are left out.
        min_clear_mask: what counts as clear for that.
        assume_offset_dn: radiometric offset where no metadata tells it.
        features: the polygons that were asked for.
        blocks: rows and columns of the blocks to read, None for all; the others are *not read*.
    """

    catalog: str
    collection: str
    start: date
    end: date
    bands: tuple[str, ...]
    grid: Grid
    max_cloud_pct: float = 100.0
    refinement: Refinement = Refinement()
    min_clear: float = 0.0
    min_clear_mask: MaskName = "standard"
    assume_offset_dn: int | None = None
    features: tuple[Feature, ...] = ()
    blocks: tuple[tuple[int, int], ...] | None = None


class PlannedDay(BaseModel, frozen=True):
    """One time step: a solar day and the scenes that make it, the one that wins first."""

    day: date
    scenes: tuple[Scene, ...]


class CubePlan(BaseModel, frozen=True):
    """A request with its answer: the scenes of every day, and what was left out and why."""

    request: Request
    days: tuple[PlannedDay, ...]
    dropped: tuple[Dropped, ...]
    searched: datetime

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes, in the order of the cube's `scene` dimension."""
        return tuple(scene for day in self.days for scene in day.scenes)

    @property
    def needs_scene_index(self) -> bool:
        """Whether some day has several scenes, so that pixels must say which one they are of."""
        return any(len(day.scenes) > 1 for day in self.days)

    @property
    def hash(self) -> str:
        """SHA-256 of the plan; equal for equal work, whenever it was searched."""
        text = self.model_dump_json(exclude={"searched"})
        return hashlib.sha256(text.encode()).hexdigest()

    def first_scene(self, time_index: int) -> int:
        """Index in `scenes` of the first scene of a day."""
        return sum(len(day.scenes) for day in self.days[:time_index])

    def write(self, path: Path) -> None:
        """Write the plan as JSON."""
        write_atomically(path, self.model_dump_json(indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> "CubePlan":
        """Read a plan back.

        Raises:
            NotACube: the file is not a plan of this version.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (ValidationError, FileNotFoundError) as error:
            raise NotACube(
                f"{path} is not a plan that this version reads; build the cube again with --overwrite"
            ) from error


def make_plan(
    request: Request,
    days: Sequence[tuple[date, Sequence[Scene]]],
    dropped: Sequence[Dropped],
    searched: datetime,
) -> CubePlan:
    """Freeze the answer to a request."""
    planned = tuple(PlannedDay(day=day, scenes=tuple(scenes)) for day, scenes in days)
    return CubePlan(request=request, days=planned, dropped=tuple(dropped), searched=searched)
