"""Open a planar store: memory maps and one value a region. Needs NumPy, pyarrow and pydantic."""

import errno
import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from sits_data.errors import DamagedStore, NotAStore
from sits_data.manifest import FORMAT, MERGED, SCHEMA_VERSION, Manifest, MergedManifest, shard_file
from sits_data.threads import available_cores

if TYPE_CHECKING:
    import geopandas as gpd

_READ_WHOLE = 1 << 18
"""Bytes of a file that is read instead of mapped."""

MANIFEST, REGIONS, DATES = "manifest.json", "regions.parquet", "dates.npy"

_AGAIN = "make it again with sits-data planarize --overwrite, or copy it again"


@dataclass(frozen=True)
class Region:
    """The pixels of one region; arrays are views of read-only memory maps.

    Args:
        id: its position in the source that regions came from.
        label: 0 … K-1, -1 = unlabelled.
        block: square of the lattice for spatial splits.
        pixels: (P, T, B) uint16 DN, 0 = not observed.
        qa: (P, T) uint8 bits.
        yx: (P, 2) int32 row and column on the cube's grid, in raster order.
        labels: (P,) int32, -1 = unlabelled; None unless labels came from a raster.
    """

    id: int
    label: int
    block: str
    pixels: NDArray[np.uint16]
    qa: NDArray[np.uint8]
    yx: NDArray[np.int32]
    labels: NDArray[np.int32] | None


@dataclass(frozen=True)
class PlanarStore:
    """An open planar store: `len()` regions, by their position 0 … len-1.

    Args:
        path: the folder.
        manifest: what it says of itself.
        dates: (T,) int32 days since 1970-01-01.
        regions: one row a region, all columns of `regions.parquet` but the geometry.
    """

    path: Path
    manifest: Manifest
    dates: NDArray[np.int32]
    regions: pa.Table

    def __len__(self) -> int:
        return self.manifest.regions

    @cached_property
    def source(self) -> str:
        """What a model's card calls it: its name, or that of the merged store that it is a part of."""
        above = self.path.resolve().parent
        return above.name if (above / MANIFEST).is_file() and is_merged(above) else self.path.name

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process opens the files anew instead of getting their contents.
        return open_store, (self.path,)

    def region(self, index: int) -> Region:
        """The pixels of a region."""
        place = self._place(index)
        label = self.manifest.label
        kind = f"label-{label.name}" if label and label.per_pixel else None
        return Region(
            id=int(self._columns["id"][place.index]),
            label=int(self.labels[place.index]),
            block=self.regions["block"][place.index].as_py(),
            pixels=self.shard("pixels", place.shard)[place.rows],
            qa=self.shard("qa", place.shard)[place.rows],
            yx=self.shard("yx", place.shard)[place.rows],
            labels=None if kind is None else self.shard(kind, place.shard)[place.rows],
        )

    def order(self, index: int, name: str) -> NDArray[np.int32]:
        """A region's rows along one of the stored curves: (P,) int32.

        Raises:
            LookupError: the store has no such curve.
        """
        if name not in self.manifest.orders:
            stored = ", ".join(self.manifest.orders) or "none"
            raise LookupError(
                f"{self.path} has no order {name!r}, it has {stored}; compute it with "
                f"sits_data.orders, or planarize again with --orders {name}"
            )
        place = self._place(index)
        curve = self.shard(f"orders/{name}", place.shard)[place.rows]
        if curve.min() < 0 or curve.max() >= len(curve):
            raise DamagedStore(f"{self.path}: order {name} of region {index} leaves it; {_AGAIN}")
        return curve

    def planar_image(self, index: int, order: str = "hilbert") -> NDArray[np.uint16]:
        """A region as an image: (B, T, L) uint16 DN, rows are dates, columns the curve's pixels."""
        columns = self.region(index).pixels[self.order(index, order)]
        return np.ascontiguousarray(columns.transpose(2, 1, 0))

    def clear(self, index: int) -> NDArray[np.bool_]:
        """Where a region was seen under the store's mask preset: (P, T) bool, True = usable."""
        return np.asarray((self.region(index).qa & self.manifest.unclear_bits) == 0)

    def decode(self, values: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Surface reflectance of digital numbers: same shape, float32, NaN where not observed."""
        scale, offset = np.float32(self.manifest.scale), np.float32(self.manifest.offset)
        return np.where(values == 0, np.float32(np.nan), values * scale + offset)

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """(regions,) int32, 0 … K-1, -1 = unlabelled."""
        label = self.manifest.label
        if label is None:
            return np.full(len(self), -1, np.int32)
        return np.asarray(self.regions[label.column].to_numpy(), np.int32)

    def class_counts(self) -> dict[str, int]:
        """Regions of each class, by name; `unlabelled` where there are some; {} without labels."""
        if self.manifest.label is None:
            return {}
        # Two codes may share a name: count them together.
        counts = dict.fromkeys((one.name for one in self.manifest.classes), 0)
        for label, one in enumerate(self.manifest.classes):
            counts[one.name] += int((self.labels == label).sum())
        unlabelled = int((self.labels < 0).sum())
        return counts | ({"unlabelled": unlabelled} if unlabelled else {})

    def to_geopandas(self) -> "gpd.GeoDataFrame":
        """`regions.parquet` with its geometries, in the cube's CRS."""
        import geopandas as gpd

        return gpd.read_parquet(self.path / REGIONS)

    @cached_property
    def _columns(self) -> dict[str, NDArray[np.int64]]:
        names = ("id", "shard", "first_row", "pixels")
        return {name: np.asarray(self.regions[name].to_numpy(), np.int64) for name in names}

    @cached_property
    def _maps(self) -> dict[str, NDArray[Any]]:
        return {}

    def _place(self, index: int) -> "_Place":
        if not -len(self) <= index < len(self):
            raise IndexError(f"the store has regions 0 to {len(self) - 1}, got {index}")
        index %= len(self)
        first = int(self._columns["first_row"][index])
        rows = slice(first, first + int(self._columns["pixels"][index]))
        return _Place(index, int(self._columns["shard"][index]), rows)

    def shard(self, kind: str, shard: int) -> NDArray[Any]:
        """One file of the store, mapped read-only: `pixels`, `qa`, `yx`, `label-NAME`, `orders/NAME`."""
        name = shard_file(kind, shard)
        if name not in self._maps:
            rows, dates = self.manifest.shard_rows[shard], self.manifest.dates
            shape, dtype = {
                "pixels": ((rows, dates, len(self.manifest.bands)), "uint16"),
                "qa": ((rows, dates), "uint8"),
                "yx": ((rows, 2), "int32"),
            }.get(kind, ((rows,), "int32"))
            self._maps[name] = _open_shard(_inside(self.path, name), shape, dtype)
        return self._maps[name]


@dataclass(frozen=True)
class _Place:
    index: int
    shard: int
    rows: slice


def open_store(path: str | Path) -> PlanarStore:
    """Open a planar store; arrays are mapped when they are first used.

    Raises:
        NotAStore: the path holds no planar store of this version.
        DamagedStore: a file is missing or does not fit the others.

    Example::

        store = open_store("field.planar")
        image = store.planar_image(0, "hilbert")  # (band, time, position)
    """
    path = Path(path)
    manifest = read_manifest(path)
    for name in manifest.files:
        if not _inside(path, name).is_file():
            raise DamagedStore(f"{path / name} is missing; {_AGAIN}")
    dates = np.asarray(_load(path / DATES))
    regions = _read_regions(path / REGIONS)
    store = PlanarStore(path, manifest, dates, regions)
    _check_whole(store)
    return store


def open_parts(path: str | Path) -> tuple[PlanarStore, ...]:
    """Open a planar store, or all parts of a merged one.

    Raises:
        NotAStore: the path holds neither, of this version.
        DamagedStore: a file is missing or does not fit the others.
    """
    path = Path(path)
    if not is_merged(path):
        return (open_store(path),)
    return tuple(open_store(path / part.name) for part in read_merged(path).parts)


def verify_store(path: str | Path) -> int:
    """Compare every file of a store, merged or not, with the sha256 in its manifest.

    Returns:
        How many files were compared.

    Raises:
        NotAStore: the path holds no planar store of this version.
        DamagedStore: names the first file that is missing or differs.
    """
    path = Path(path)
    if is_merged(path):
        parts = read_merged(path).parts
        _compare(path, {f"{part.name}/{MANIFEST}": part.sha256 for part in parts})
        for part in parts:
            found = open_store(path / part.name).manifest
            if (found.regions, found.pixels, found.dates) != (part.regions, part.pixels, part.dates):
                raise DamagedStore(f"{path / part.name} is not what {path / MANIFEST} says; {_AGAIN}")
        return sum(1 + verify_store(path / part.name) for part in parts)
    files = open_store(path).manifest.files
    _compare(path, files)
    return len(files)


def _compare(path: Path, files: dict[str, str]) -> None:
    for name, found in sha256_of(path, files).items():
        if found != files[name]:
            raise DamagedStore(f"{path / name} differs from its sha256 in the manifest; {_AGAIN}")


def sha256_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The sha256 of files, read on all cores.

    Raises:
        DamagedStore: one is missing.
    """

    def digest(name: str) -> str:
        try:
            with _inside(folder, name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise DamagedStore(f"{folder / name} is missing; {_AGAIN}") from error

    names = list(names)
    with ThreadPoolExecutor(available_cores()) as pool:
        return dict(zip(names, pool.map(digest, names), strict=True))


def read_manifest(path: Path) -> Manifest:
    """The manifest of a store, checked.

    Raises:
        NotAStore: the path holds no planar store of this version.
        DamagedStore: it does, but the manifest contradicts the format.
    """
    content = read_manifest_json(path)
    if content["format"] == MERGED:
        raise NotAStore(
            f"{path} is a merged store, and one store is wanted here; name one of its parts, such as "
            f"{path / _first_part(content)}"
        )
    return _checked(Manifest, content, path)


def read_merged(path: Path) -> MergedManifest:
    """The manifest of a merged store, checked.

    Raises:
        NotAStore: the path holds no merged store of this version.
        DamagedStore: it does, but the manifest contradicts the format.
    """
    return _checked(MergedManifest, read_manifest_json(path), path)


def is_merged(path: Path) -> bool:
    """Whether a folder is a merged store.

    Raises:
        NotAStore: it is no store at all.
    """
    return bool(read_manifest_json(path)["format"] == MERGED)


def _first_part(content: dict[str, Any]) -> str:
    try:
        return str(content["parts"][0]["name"])
    except (LookupError, TypeError):
        return "?"


def _checked[M: BaseModel](kind: type[M], content: dict[str, Any], path: Path) -> M:
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise NotAStore(
            f"{path} is a planar store of schema version {version}, this sits-data reads "
            f"{SCHEMA_VERSION}; use the version that wrote it, or run planarize again"
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedStore(f"{path / MANIFEST}: {where}: {first['msg']}; {_AGAIN}") from error


def read_manifest_json(path: Path) -> dict[str, Any]:
    """The manifest of a store of whatever version.

    Raises:
        NotAStore: there is none.
    """
    hint = "make one with sits-data planarize CUBE"
    try:
        content = json.loads((path / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotAStore(f"{path} is not a planar store (no {MANIFEST}); {hint}") from error
    except OSError as error:
        raise NotAStore(
            f"{path / MANIFEST} cannot be read ({error.strerror}); check the file"
        ) from error
    except ValueError as error:
        raise NotAStore(f"{path / MANIFEST} is not JSON ({error}); {hint}") from error
    if not isinstance(content, dict) or content.get("format") not in (FORMAT, MERGED):
        raise NotAStore(f"{path / MANIFEST} does not describe a planar store; {hint}")
    return content


def is_store(path: Path) -> bool:
    """Whether a folder is a planar store, of whatever version."""
    try:
        read_manifest_json(path)
    except NotAStore:
        return False
    return True


def _check_whole(store: PlanarStore) -> None:
    manifest = store.manifest
    sizes = {
        DATES: (len(store.dates), manifest.dates),
        REGIONS: (store.regions.num_rows, manifest.regions),
    }
    for name, (found, expected) in sizes.items():
        if found != expected:
            raise DamagedStore(
                f"{store.path / name} has {found} entries, the manifest says {expected}; {_AGAIN}"
            )
    wanted = {"id", "block", "shard", "first_row", "pixels"}
    wanted |= {manifest.label.column} if manifest.label else set()
    if lost := _files_of(manifest) - set(manifest.files):
        raise DamagedStore(
            f"{store.path / MANIFEST} does not name {', '.join(sorted(lost)[:3])}; {_AGAIN}"
        )
    if (np.diff(store.dates) <= 0).any():
        raise DamagedStore(f"{store.path / DATES}: dates do not ascend; {_AGAIN}")
    if missing := wanted - set(store.regions.column_names):
        raise DamagedStore(f"{store.path / REGIONS} lacks {', '.join(sorted(missing))}; {_AGAIN}")
    _check_places(store)


def _files_of(manifest: Manifest) -> set[str]:
    """What a store must have besides its manifest."""
    kinds = ["pixels", "qa", "yx", *(f"orders/{name}" for name in manifest.orders)]
    if manifest.label is not None and manifest.label.per_pixel:
        kinds.append(f"label-{manifest.label.name}")
    shards = range(len(manifest.shard_rows))
    return {DATES, REGIONS} | {shard_file(kind, shard) for kind in kinds for shard in shards}


def _check_places(store: PlanarStore) -> None:
    """Every region must lie within its shard."""
    places = store._columns
    shards = np.array(store.manifest.shard_rows)
    known = (places["shard"] >= 0) & (places["shard"] < len(shards))
    ends = places["first_row"] + places["pixels"]
    inside = (places["first_row"] >= 0) & (places["pixels"] > 0)
    inside &= ends <= shards[np.where(known, places["shard"], 0)]
    if not (known & inside).all():
        raise DamagedStore(f"{store.path / REGIONS} names rows that no shard has; {_AGAIN}")


def _read_regions(path: Path) -> pa.Table:
    try:
        names = [name for name in pq.read_schema(path).names if name != "geometry"]
        return pq.read_table(path, columns=names)
    except (pa.ArrowException, OSError) as error:
        raise DamagedStore(f"{path} is not Parquet ({error}); {_AGAIN}") from error


def _open_shard(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    array = _load(path)
    if array.shape != shape or array.dtype != dtype:
        raise DamagedStore(
            f"{path} holds {array.dtype} {array.shape}, the manifest says {dtype} {shape}; {_AGAIN}"
        )
    return array


def _load(path: Path) -> NDArray[Any]:
    """Map a file; read a small one: a map keeps a descriptor, and merged stores have many files."""
    try:
        mapped = path.stat().st_size > _READ_WHOLE
        loaded = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        loaded.setflags(write=False)
    except FileNotFoundError as error:
        raise DamagedStore(f"{path} is missing; {_AGAIN}") from error
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise DamagedStore(f"{path} cannot be read ({error.strerror}); {_AGAIN}") from error
        raise DamagedStore(
            f"{path} cannot be mapped: too many files are open; raise the limit with ulimit -n"
        ) from error
    except (ValueError, EOFError) as error:
        raise DamagedStore(f"{path} is not a whole .npy file ({error}); {_AGAIN}") from error
    # A plain view: slicing an np.memmap costs ten times as much.
    return np.asarray(loaded)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DamagedStore(f"{path} leads out of its store; {_AGAIN}")
    return path
