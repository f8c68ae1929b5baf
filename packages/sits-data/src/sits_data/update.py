"""New dates for a cube that is there: what it holds is not touched, and readers see all of it or none.

Chunks of new dates lie beyond the shape that the cube's metadata tells, so that nobody sees them
before the metadata is replaced. Coordinates along time have chunks of a fixed length: a longer one
holds the shorter one, and is right under both the old and the new metadata.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from sits_data.build import BuildOptions, fill_cube, open_state, resumable
from sits_data.cube import RawCube, create_cube, mark_complete, open_raw
from sits_data.errors import EmptySearch, InvalidRequest, NotACube
from sits_data.grid import BLOCK_PX
from sits_data.ledger import Ledger, Row, Unit, state_folder
from sits_data.loaders import check_loader
from sits_data.output import write_atomically, writing_to
from sits_data.plan import CubePlan, Request
from sits_data.planning import Search, plan_cube, search_items
from sits_data.provenance import write_cube_item
from sits_data.scenes import Dropped
from sits_data.screen import screen_days
from sits_data.units import UnitWriter, chunk_of

NEXT = "plan.next.json"
"""The plan of an update that is under way, beside the plan of the cube as it is."""


@dataclass(frozen=True)
class UpdateResult:
    """What an update did.

    Args:
        path: the cube.
        plan: of the cube as it is now.
        added: days that are new.
        late: scenes of days that the cube already had, or had passed by; they are left out.
        failed: units that could not be read and are marked so in `qa`.
        seconds: that it took.
    """

    path: Path
    plan: CubePlan
    added: tuple[date, ...]
    late: tuple[str, ...]
    failed: tuple[Row, ...]
    seconds: float


def update_cube(
    path: Path,
    *,
    end: date,
    options: BuildOptions = BuildOptions(),  # noqa: B008  (frozen)
    progress: bool = False,
    search: Search = search_items,
) -> UpdateResult:
    """Add the days up to `end` to a cube, or finish an update that was interrupted.

    Units that could not be read before are tried again, too.

    Until all of them are written, the cube stays what it was. Scenes that the catalogue has since got
    for earlier days, or has processed again, are reported and left out.

    Args:
        path: a complete cube, its state folder beside it.
        end: last day; that which it was built to only tries again what could not be read.
        options: how to read.
        progress: show a bar on stderr.
        search: gives the items.

    Raises:
        NotACube: no cube, or one without its plan, is there.
        IncompleteCube: it is unfinished.
        InvalidRequest: `end` is earlier than the cube's.
        OutputNotWritable, UnreadableSource: as in `build_cube`; what was read is kept.
    """
    began = time.monotonic()
    check_loader(options.loader)
    cube = open_raw(path)
    state = state_folder(path)
    if "derived" in cube.attributes:
        origin = cube.attributes["derived"]["from"]
        raise NotACube(f"{path} is derived; update {origin}, and make it again with --overwrite")
    if not (state / "plan.json").is_file():
        raise NotACube(
            f"{state / 'plan.json'} is gone, without which {path} cannot be added to; bring it back"
        )
    with open_state(path) as ledger, resumable(ledger):
        old = _settled_plan(cube, state)
        if end < old.request.end:
            raise InvalidRequest(
                f"{path} was built to {old.request.end}; give no earlier --end than that, got {end}"
            )
        new, late = old, tuple[str, ...]()
        if end > old.request.end:
            new, late = _longer_plan(old, state, end, options, search)
        added = tuple(day.day for day in new.days[len(old.days) :])
        again = {row.unit for row in ledger.failed}
        if added or again:
            fill_cube(
                new,
                path,
                ledger,
                options,
                wanted=lambda unit: unit.time >= len(old.days) or unit in again,
                plan_name=NEXT if added else "plan.json",
                progress=progress,
            )
        if added:
            if new.needs_scene_index and not old.needs_scene_index:
                _index_scenes(cube, old, ledger)
            _extend(path, new, failed=len(ledger.failed))
            (state / NEXT).replace(state / "plan.json")
        elif again:
            mark_complete(path, failed=len(ledger.failed))
        if added or again:
            write_cube_item(path)
        seconds = time.monotonic() - began
        return UpdateResult(path, new, added, late, tuple(ledger.failed), seconds)


def _settled_plan(cube: RawCube, state: Path) -> CubePlan:
    """The cube's plan; an update that was cut off after its last step but one is ended here."""
    if (state / NEXT).is_file() and CubePlan.read(state / NEXT).hash == cube.attributes["plan"]:
        (state / NEXT).replace(state / "plan.json")
    return CubePlan.read(state / "plan.json")


def _longer_plan(
    old: CubePlan, state: Path, end: date, options: BuildOptions, search: Search
) -> tuple[CubePlan, tuple[str, ...]]:
    """The cube's plan with new days behind its own, and what came too late."""
    request = old.request.model_copy(update={"end": end})
    known = {scene.id for scene in old.scenes} | {one.id for one in old.dropped}
    if (state / NEXT).is_file() and (begun := CubePlan.read(state / NEXT)).request == request:
        return begun, _late(begun, known)
    try:
        found = plan_cube(request, search)
    except EmptySearch:
        return old, ()
    last = old.days[-1].day
    late = [s for day in found.days if day.day <= last for s in day.scenes if s.id not in known]
    days = tuple(day for day in found.days if day.day > last)
    if not days:
        return old, tuple(scene.id for scene in late)
    screened = _screen(found.model_copy(update={"days": days}), options, request)
    dropped = [
        *old.dropped,
        *(one for one in screened.dropped if one.id not in known),
        *(Dropped(scene.id, TOO_LATE) for scene in late),
    ]
    new = screened.model_copy(update={"days": (*old.days, *screened.days), "dropped": tuple(dropped)})
    if screened.days:
        new.write(state / NEXT)
    return (new if screened.days else old), tuple(scene.id for scene in late)


TOO_LATE = "came after its day was built"


def _late(plan: CubePlan, known: set[str]) -> tuple[str, ...]:
    return tuple(one.id for one in plan.dropped if one.reason == TOO_LATE and one.id not in known)


def _screen(plan: CubePlan, options: BuildOptions, request: Request) -> CubePlan:
    try:
        return screen_days(plan, options.how(request))
    except EmptySearch:
        return plan.model_copy(update={"days": ()})


def _index_scenes(cube: RawCube, plan: CubePlan, ledger: Ledger) -> None:
    """Write the scene index of days that needed none, as each has one scene: new files, no old one."""
    height, width = plan.request.grid.shape
    writer = UnitWriter(cube.path)
    for unit in _units_of(plan, ledger):
        y, x = unit.row * BLOCK_PX, unit.col * BLOCK_PX
        block = (slice(y, min(y + BLOCK_PX, height)), slice(x, min(x + BLOCK_PX, width)))
        seen = cube.read("scl", (unit.time, *block)) != 0
        seen |= cube.read("reflectance", (unit.time, slice(None), *block)).any(axis=0)
        index = np.where(seen, np.int16(plan.first_scene(unit.time)), np.int16(-1))
        written = writer.write("scene_index", chunk_of("scene_index", unit), index[None], -1)
        row = ledger.rows[unit]
        ledger.record(Row(unit, row.state, {**row.files, "scene_index": written}, row.why))


def _units_of(plan: CubePlan, ledger: Ledger) -> Iterator[Unit]:
    for unit in sorted(ledger.rows):
        if unit.time < len(plan.days) and ledger.rows[unit].done:
            yield unit


def _extend(path: Path, plan: CubePlan, *, failed: int) -> None:
    """Replace coordinates, then metadata; the group's metadata, which holds all, is last and at once."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        with writing_to(path):
            laid_out = scratch / path.name
            create_cube(laid_out, plan)
            root = json.loads((laid_out / "zarr.json").read_bytes())
            kept = json.loads((path / "zarr.json").read_bytes())["attributes"]
            kept.pop("units_failed", None)
            root["attributes"] = {**kept, **root["attributes"], "status": "complete"}
            if failed:
                root["attributes"]["units_failed"] = failed
            for file in sorted(laid_out.glob("*/c/**/*")):
                if file.is_file():
                    _replace(file, path / file.relative_to(laid_out))
            for file in sorted(laid_out.glob("*/zarr.json")):
                _replace(file, path / file.relative_to(laid_out))
            write_atomically(path / "zarr.json", json.dumps(root, indent=2).encode())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)
