"""What a cube or a planar store holds, as values that print and turn into JSON."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from sits_data.cube import QA_SETTINGS, RawCube, open_raw
from sits_data.errors import InvalidRequest, NotACube
from sits_data.ledger import read_ledger, state_folder
from sits_data.manifest import Recipe
from sits_data.mask import MaskName, QaSettings, parse_mask
from sits_data.plan import CubePlan
from sits_data.provenance import item_file
from sits_data.store import PlanarStore, open_parts, open_store
from sits_data.store.read import is_merged, read_merged

Kind = Literal["cube", "store"]

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Dates:
    """How a series lies in time.

    Args:
        first, last: ISO days.
        count: number of dates.
        median_gap_days: between consecutive dates; None with one date.
    """

    first: str
    last: str
    count: int
    median_gap_days: float | None


@dataclass(frozen=True)
class Offset:
    """How many scenes carry a radiometric offset in their numbers, and what said so."""

    offset_dn: int
    source: str
    scenes: int


@dataclass(frozen=True)
class LeftOut:
    """A scene that was found and not used, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class CubeInfo:
    """A cube.

    Args:
        units_done: of `units`, from the ledger; None when the ledger is gone and the cube unfinished.
        bands: canonical ids; of a cube without reflectance the names of its values.
        shape: time, band, y, x.
        bounds: left, bottom, right, top in metres.
        clear_pct: of the pixels that were read under `mask`, mean of all dates; 0 for a date that is
            not read yet.
        clear_pct_by_date: the same for each date, by ISO day.
        qa: detectors and distances behind its quality bits; None when the plan is gone and it was
            never masked again.
        dropped: scenes that were found and left out, and why; None when the plan is gone.
        size_bytes: of the folder.
        item: its STAC item, None when there is none.
        derived: from which cube and how it was made; None for an observed one.
    """

    path: str
    complete: bool
    units_done: int | None
    units: int
    bands: tuple[str, ...]
    shape: tuple[int, ...]
    crs: str
    resolution_m: int
    bounds: tuple[float, ...]
    dates: Dates
    mask: MaskName
    clear_pct: float
    clear_pct_by_date: dict[str, float]
    qa: QaSettings | None
    scenes: int
    dropped: tuple[LeftOut, ...] | None
    offsets: tuple[Offset, ...]
    catalog: str
    collection: str
    plan: str
    size_bytes: int
    item: str | None
    derived: dict[str, JsonValue] | None = None
    kind: Literal["cube"] = "cube"


@dataclass(frozen=True)
class ClassCount:
    """A class of a store and how much of it there is; label -1 is unlabelled."""

    label: int
    code: int | str | None
    name: str
    colour: str | None
    regions: int
    pixels: int


@dataclass(frozen=True)
class StoreInfo:
    """A planar store.

    Args:
        pixels_per_region: smallest, median and largest.
        dropped: number of regions left out, by reason.
        labels: column or raster that labels come from.
        cube: name, plan, catalogue and number of scenes of the cube it was made from.
        size_bytes: of the folder.
        item: its STAC item, None when there is none.
    """

    path: str
    regions: int
    pixels: int
    pixels_per_region: tuple[int, int, int]
    dates: Dates
    bands: tuple[str, ...]
    crs: str
    resolution_m: int
    labels: str | None
    classes: tuple[ClassCount, ...]
    orders: tuple[str, ...]
    mask: str
    dropped: dict[str, int]
    shards: int
    recipe: Recipe
    cube: dict[str, JsonValue]
    software: str
    size_bytes: int
    item: str | None
    kind: Literal["store"] = "store"


@dataclass(frozen=True)
class MergedInfo:
    """A merged store.

    Args:
        parts: its stores.
        empty: cubes without a region.
        pixels_per_region: smallest, median and largest.
        dates_per_part: fewest and most.
        first, last: ISO days of all parts.
        zones: CRS of the parts.
        classes: regions of each class, by name.
        size_bytes: of the folder.
    """

    path: str
    parts: int
    empty: int
    regions: int
    pixels: int
    pixels_per_region: tuple[int, int, int]
    dates_per_part: tuple[int, int]
    first: str
    last: str
    bands: tuple[str, ...]
    zones: tuple[str, ...]
    resolution_m: int
    classes: dict[str, int]
    orders: tuple[str, ...]
    mask: str
    recipe: Recipe
    software: str
    size_bytes: int
    kind: Literal["merged store"] = "merged store"


def recognise(path: str | Path) -> Kind:
    """Whether a path holds a cube or a planar store, by what lies at its top.

    Raises:
        NotACube: neither.
    """
    path = Path(path)
    if (path / "manifest.json").is_file():
        return "store"
    if (path / "zarr.json").is_file():
        return "cube"
    what = "is neither a cube nor a planar store" if path.exists() else "does not exist"
    raise NotACube(f"{path} {what}; make one with sits-data build-cube or sits-data planarize")


def describe(path: str | Path, *, mask: MaskName | None = None) -> CubeInfo | StoreInfo | MergedInfo:
    """Look into a cube, finished or not, or into a planar store. Nothing is written or locked.

    Args:
        path: the folder.
        mask: what counts as clear in a cube, by default `standard`; a store has its own.

    Raises:
        NotACube, NotAStore, DamagedStore: the path holds nothing that this version reads.
        InvalidRequest: a mask for a store, or one that does not exist.
    """
    if mask is not None:
        parse_mask(mask)
    if recognise(path) == "cube":
        cube = open_raw(path, allow_incomplete=True, allow_values=True)
        return describe_cube(cube, mask or "standard")
    if mask is not None:
        made_with = open_parts(path)[0].manifest.mask
        raise InvalidRequest(
            f"{path} is a planar store, which keeps the mask that it was made with "
            f"({made_with}); leave --mask out"
        )
    return describe_merged(Path(path)) if is_merged(Path(path)) else describe_store(open_store(path))


def describe_cube(cube: RawCube, mask: MaskName) -> CubeInfo:
    """What a cube holds; reads `qa` (and under `strict` `scl`) of all dates."""
    values = cube.values
    times, height, width = cube.array("qa").shape
    bands = values or cube.bands
    shape = (times, len(bands), height, width)
    units = times * cube.blocks
    complete = cube.attributes["status"] == "complete"
    clear_pct = np.round(100 * cube.clear_fraction(mask), 1)
    state = state_folder(cube.path)
    plan = CubePlan.read(state / "plan.json") if (state / "plan.json").is_file() else None
    offsets = zip(cube.read("scene_offset_dn"), cube.read("scene_offset_source"), strict=True)
    counted = Counter((int(dn), str(source)) for dn, source in offsets)
    return CubeInfo(
        path=str(cube.path),
        complete=complete,
        units_done=units if complete else _units_done(state / "ledger.jsonl"),
        units=units,
        bands=bands,
        shape=shape,
        crs=str(cube.geobox.crs),
        resolution_m=cube.resolution_m,
        bounds=tuple(cube.geobox.boundingbox.bbox),
        dates=_dates(cube.dates),
        mask=mask,
        clear_pct=round(float(clear_pct.mean()), 1),
        clear_pct_by_date=dict(zip(_iso(cube.dates), clear_pct.tolist(), strict=True)),
        qa=_qa_settings(cube, plan),
        scenes=len(cube.sources["scenes"]),
        dropped=tuple(LeftOut(*scene) for scene in plan.dropped) if plan else None,
        offsets=tuple(Offset(*key, count) for key, count in sorted(counted.items())),
        catalog=cube.attributes["catalog"],
        collection=cube.attributes["collection"],
        plan=cube.attributes["plan"],
        size_bytes=_size(cube.path),
        item=_item(cube.path),
        derived=cube.attributes.get("derived"),
    )


def _qa_settings(cube: RawCube, plan: CubePlan | None) -> QaSettings | None:
    if QA_SETTINGS in cube.attributes:
        return QaSettings.model_validate(cube.attributes[QA_SETTINGS])
    return QaSettings(**plan.request.refinement.model_dump()) if plan else None


def describe_store(store: PlanarStore) -> StoreInfo:
    """What a planar store holds; reads its tables, and the labels of pixels where it has them."""
    manifest = store.manifest
    sizes = np.asarray(store.regions["pixels"].to_numpy(), np.int64)
    scenes = manifest.cube.get("scenes")
    cube = manifest.cube | {"scenes": len(scenes) if isinstance(scenes, list) else None}
    return StoreInfo(
        path=str(store.path),
        regions=len(store),
        pixels=manifest.pixels,
        pixels_per_region=(int(sizes.min()), int(np.median(sizes)), int(sizes.max())),
        dates=_dates(store.dates),
        bands=manifest.bands,
        crs=manifest.grid.crs,
        resolution_m=manifest.grid.resolution_m,
        labels=manifest.label.name if manifest.label else None,
        classes=_count_classes(store, sizes),
        orders=manifest.orders,
        mask=manifest.mask,
        dropped={reason: len(ids) for reason, ids in manifest.dropped.items()},
        shards=len(manifest.shard_rows),
        recipe=manifest.recipe,
        cube=cube,
        software=manifest.software,
        size_bytes=_size(store.path),
        item=_item(store.path),
    )


def describe_merged(path: Path) -> MergedInfo:
    """What a merged store holds; reads the tables of its parts."""
    manifest, parts = read_merged(path), open_parts(path)
    sizes = np.concatenate([np.asarray(part.regions["pixels"].to_numpy()) for part in parts])
    days = np.concatenate([part.dates for part in parts])
    classes: Counter[str] = Counter()
    for part in parts:
        classes.update(part.class_counts())
    return MergedInfo(
        path=str(path),
        parts=len(parts),
        empty=len(manifest.empty),
        regions=len(sizes),
        pixels=int(sizes.sum()),
        pixels_per_region=(int(sizes.min()), int(np.median(sizes)), int(sizes.max())),
        dates_per_part=(min(len(part.dates) for part in parts), max(len(part.dates) for part in parts)),
        first=_iso(days.min(keepdims=True))[0],
        last=_iso(days.max(keepdims=True))[0],
        bands=manifest.bands,
        zones=tuple(sorted({part.crs for part in manifest.parts})),
        resolution_m=manifest.resolution_m,
        classes=dict(classes),
        orders=parts[0].manifest.orders,
        mask=parts[0].manifest.mask,
        recipe=manifest.recipe,
        software=manifest.software,
        size_bytes=_size(path),
    )


def date_lines(percent_by_date: dict[str, float]) -> Iterator[str]:
    """One line a month: its days, each with a bar as high as its percentage.

    >>> list(date_lines({"2019-08-04": 100.0, "2019-08-09": 12.0, "2019-09-03": 0.0}))
    ['2019-08  04█ 09▂', '2019-09  03·']
    """
    for month, days in groupby(percent_by_date.items(), key=lambda pair: pair[0][:7]):
        yield f"{month}  " + " ".join(f"{day[8:]}{_bar(percent)}" for day, percent in days)


def _bar(percent: float) -> str:
    return "·" if percent < 1 else _BARS[round(percent / 100 * (len(_BARS) - 1))]


def _count_classes(store: PlanarStore, sizes: NDArray[np.int64]) -> tuple[ClassCount, ...]:
    """Regions and pixels of each class; where pixels have labels of their own, those are counted."""
    if store.manifest.label is None:
        return ()
    # Bin 0 is unlabelled.
    bins = len(store.manifest.classes) + 1
    regions = np.bincount(store.labels + 1, minlength=bins)
    if store.manifest.label.per_pixel:
        pixels = np.zeros(bins, np.int64)
        for index in range(len(store)):
            labels = store.region(index).labels
            assert labels is not None
            pixels += np.bincount(labels + 1, minlength=bins)
    else:
        pixels = np.bincount(store.labels + 1, weights=sizes, minlength=bins).astype(np.int64)
    counts = [
        ClassCount(
            label, one.code, one.name, one.colour, int(regions[label + 1]), int(pixels[label + 1])
        )
        for label, one in enumerate(store.manifest.classes)
    ]
    if pixels[0]:
        counts.append(ClassCount(-1, None, "unlabelled", None, int(regions[0]), int(pixels[0])))
    return tuple(counts)


def _units_done(ledger: Path) -> int | None:
    """Finished units, while a build may be writing."""
    return sum(row.done for row in read_ledger(ledger).values()) if ledger.is_file() else None


def _dates(days: NDArray[np.int32]) -> Dates:
    iso = _iso(days)
    gap = float(np.median(np.diff(days))) if len(days) > 1 else None
    return Dates(iso[0], iso[-1], len(iso), gap)


def _iso(days: NDArray[np.int32]) -> list[str]:
    return [str(day) for day in days.astype("datetime64[D]")]


def _item(path: Path) -> str | None:
    item = item_file(path)
    return str(item) if item.is_file() else None


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
