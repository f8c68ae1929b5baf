"""Many cubes, one recipe: a folder of stores plus one manifest, each with its own grid and dates."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import geopandas as gpd
from tqdm import tqdm

from sits_data.cube import RawCube, is_cube, open_raw
from sits_data.drafts import Draft, drafting
from sits_data.errors import InvalidAOI, InvalidLabels, InvalidRequest, NotACube
from sits_data.manifest import MergedManifest, Part, Recipe
from sits_data.regions import owners
from sits_data.store.read import MANIFEST, is_store, open_parts, open_store, sha256_of
from sits_data.store.recipe import check_recipe, name_work, read_vectors
from sits_data.store.write import planarize
from sits_data.threads import available_cores


@dataclass(frozen=True)
class MergedSummary:
    """What planarizing several cubes did.

    Args:
        out: the merged store.
        parts: how many stores it has.
        empty: why some cubes have none, by their path.
        regions, pixels: how many, in all.
        dates: of the part with the fewest, and of the one with the most.
        dropped: regions left out, by reason.
        classes: regions of each class, by name.
        orders: curves written.
        bytes: of all files.
        seconds: that it took.
    """

    out: Path
    parts: int
    empty: dict[str, str]
    regions: int
    pixels: int
    dates: tuple[int, int]
    dropped: dict[str, int]
    classes: dict[str, int]
    orders: tuple[str, ...]
    bytes: int
    seconds: float

    def shown(self, *, as_json: bool) -> dict[str, object]:
        """As the command prints it: dictionaries for JSON, `wheat: 17` for people."""
        summary = asdict(self) | {"out": str(self.out)}
        if as_json:
            return summary
        fewest, most = self.dates
        return summary | {
            "empty": [f"{cube}: {why}" for cube, why in self.empty.items()] or "none",
            "dates": f"{fewest} to {most} a part",
            "dropped": [f"{count} {why}" for why, count in self.dropped.items()] or "none",
            "classes": [f"{name}: {count}" for name, count in self.classes.items()] or "none",
        }


def find_cubes(paths: Sequence[Path]) -> list[Path]:
    """Cubes by their paths; a folder that is no cube stands for the cubes in it.

    Raises:
        NotACube: a path is neither.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.zarr")) if path.is_dir() and not is_cube(path) else []
        found += inside or [path]
    if missing := [path for path in found if not is_cube(path)]:
        raise NotACube(
            f"{missing[0]} is neither a cube nor a folder of cubes; build one with sits-data build-cube "
            "--aoi FILE"
        )
    if twice := [path for path, count in Counter(map(Path.resolve, found)).items() if count > 1]:
        raise InvalidRequest(f"each cube may be named once, got {twice[0]} twice")
    return found


def planarize_all(
    cubes: Sequence[Path],
    out: str | Path,
    *,
    recipe: Recipe,
    overwrite: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> MergedSummary:
    """Write the merged store of several cubes, or finish one whose writing was interrupted.

    A cube without any region makes no part; which and why is in the manifest.

    Args:
        cubes: finished, of the same bands and resolution.
        out: the folder to make; it appears whole or not at all.
        recipe: of every part.
        overwrite: replace `out` if it is a planar store.
        threads: cubes at a time; None takes as many as there are cores.
        progress: draw a bar on stderr.

    Raises:
        NotACube, IncompleteCube: there is nothing to read.
        InvalidAOI, InvalidLabels, InvalidRequest: the recipe cannot be followed, or cubes do not fit
            together; the message says why.
        OutputExists, OutputNotWritable: there is nowhere to write.
    """
    started, out = time.perf_counter(), Path(out)
    check_recipe(recipe)
    raws = [open_raw(cube) for cube in cubes]
    _check_alike(raws)
    names = _names(cubes)
    vectors, outside = _share_out(read_vectors(recipe), raws)
    with drafting(
        out, name_work(raws, recipe), what="a planar store", is_one=is_store, overwrite=overwrite
    ) as draft:
        bar = tqdm(total=len(cubes), unit="cube", desc="planarize", disable=not progress)

        def write(cube: Path, name: str, own: gpd.GeoDataFrame | None) -> str | None:
            try:
                return _write_part(cube, name, draft, recipe, own)
            finally:
                bar.update()

        with bar, ThreadPoolExecutor(threads or available_cores()) as pool:
            futures = [pool.submit(write, *pair) for pair in zip(cubes, names, vectors, strict=True)]
            try:
                finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
                reasons = [future.result() for future in futures if future in finished]
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        empty = {str(cube): why for cube, why in zip(cubes, reasons, strict=True) if why}
        if len(empty) == len(cubes):
            raise InvalidAOI(next(iter(empty.values())))
        parts = [name for name, why in zip(names, reasons, strict=True) if not why]
        _write_manifest(draft.folder, parts, empty, outside, recipe)
    return _summary(out, empty, len(outside), seconds=time.perf_counter() - started)


def _summary(out: Path, empty: dict[str, str], outside: int, *, seconds: float) -> MergedSummary:
    stores = open_parts(out)
    manifests = [store.manifest for store in stores]
    classes: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for store in stores:
        classes.update(store.class_counts())
        dropped.update({why: len(ids) for why, ids in store.manifest.dropped.items()})
    if outside:
        dropped["outside every cube"] = outside
    return MergedSummary(
        out=out,
        parts=len(stores),
        empty=empty,
        regions=sum(one.regions for one in manifests),
        pixels=sum(one.pixels for one in manifests),
        dates=(min(one.dates for one in manifests), max(one.dates for one in manifests)),
        dropped=dict(dropped),
        classes=dict(classes),
        orders=manifests[0].orders,
        bytes=sum(file.stat().st_size for file in out.rglob("*") if file.is_file()),
        seconds=round(seconds, 3),
    )


def _write_part(
    cube: Path, name: str, draft: Draft, recipe: Recipe, vectors: gpd.GeoDataFrame | None
) -> str | None:
    """Write a part, unless it is there; returns why there is nothing to write."""
    if name in draft.done:
        return None
    if vectors is not None and vectors.empty:
        return "no region of the file is in it, or other cubes have more of those that are"
    place = draft.folder / name
    try:
        planarize(cube, place, recipe=recipe, overwrite=True, threads=1, vectors=vectors)
    except (InvalidAOI, InvalidLabels, InvalidRequest) as error:
        return str(error)  # the recipe itself was checked before: it is this cube
    draft.finish(name)
    return None


def _share_out(
    vectors: gpd.GeoDataFrame | None, raws: Sequence[RawCube]
) -> tuple[list[gpd.GeoDataFrame | None], tuple[int, ...]]:
    """The polygons or points of each cube, and the ids of those in none.

    One that lies in several cubes goes where most of it is.
    """
    if vectors is None:
        return [None] * len(raws), ()
    owner = owners(vectors, [raw.geobox for raw in raws])
    if (owner < 0).all():
        raise InvalidAOI(
            f"none of {len(vectors)} regions is in one of {len(raws)} cubes; give regions of that place"
        )
    shared = [vectors[owner == number] for number in range(len(raws))]
    return shared, tuple(vectors.index[owner < 0].tolist())


def _write_manifest(
    folder: Path,
    names: Sequence[str],
    empty: dict[str, str],
    outside: tuple[int, ...],
    recipe: Recipe,
) -> None:
    digests = sha256_of(folder, [f"{name}/{MANIFEST}" for name in names])
    manifests = {name: open_store(folder / name).manifest for name in names}
    first = manifests[names[0]]
    merged = MergedManifest(
        software=f"sits-data {version('sits-data')}",
        bands=first.bands,
        resolution_m=first.grid.resolution_m,
        parts=tuple(
            Part(
                name=name,
                regions=one.regions,
                pixels=one.pixels,
                dates=one.dates,
                crs=one.grid.crs,
                sha256=digests[f"{name}/{MANIFEST}"],
            )
            for name, one in manifests.items()
        ),
        empty=empty,
        outside=outside,
        recipe=recipe,
    )
    (folder / MANIFEST).write_text(merged.model_dump_json(indent=1) + "\n")


def _check_alike(raws: Sequence[RawCube]) -> None:
    first = raws[0]
    for raw in raws[1:]:
        for what, ours, theirs in [
            ("bands", ", ".join(raw.bands), ", ".join(first.bands)),
            ("resolution", f"{raw.resolution_m} m", f"{first.resolution_m} m"),
        ]:
            if ours != theirs:
                raise InvalidRequest(
                    f"cubes must have the same {what}, {raw.path} has {ours} and {first.path} {theirs}; "
                    "make a store of each, or build them alike"
                )


def _names(cubes: Sequence[Path]) -> list[str]:
    """A folder for each cube: its stem, numbered where several have the same."""
    stems = [cube.resolve().stem for cube in cubes]
    counted: Counter[str] = Counter()
    names = []
    for stem in stems:
        counted[stem] += 1
        names.append(stem if counted[stem] == 1 else f"{stem}-{counted[stem]}")
    if len(set(names)) < len(names):  # a stem looks like a numbered one
        return [f"{number:05d}-{stem}" for number, stem in enumerate(stems)]
    return names
