"""What `manifest.json` of a planar store says: the recipe that it was made by, and its contents.

A leaf: reading a store needs this module, NumPy, pyarrow and pydantic, nothing else.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, JsonValue, field_validator

from sits_data.bands import DN_OFFSET, DN_SCALE

FORMAT: Final = "sits-data planar store"
MERGED: Final = "sits-data merged planar store"
SCHEMA_VERSION: Final = 1

_FILE_NAME = re.compile(r"(orders/)?[\w.-]+\.(npy|parquet)", re.ASCII)


class Features(BaseModel, frozen=True):
    """The polygons of the area that the cube was asked for: what no option asks for.

    Args:
        min_pixels: polygons with fewer pixels are dropped, counted and reported.
        shrink_m: see `Parcels`.
        all_touched: see `Parcels`.
    """

    kind: Literal["features"] = "features"
    min_pixels: int = 1
    shrink_m: float = 0
    all_touched: bool = False


class Parcels(BaseModel, frozen=True):
    """Regions from a vector file: what `--regions` asks for.

    Args:
        path: GeoPackage, GeoJSON or GeoParquet of polygons.
        min_pixels: parcels with fewer pixels are dropped, counted and reported.
        shrink_m: metres taken off along the outline, against pixels mixed with what is beside it.
        all_touched: pixels that the outline touches belong to the parcel too.
    """

    kind: Literal["parcels"] = "parcels"
    path: str
    min_pixels: int = 1
    shrink_m: float = 0
    all_touched: bool = False


class Points(BaseModel, frozen=True):
    """Squares around the points of a vector file: what `--regions` with `--around` asks for.

    Args:
        path: GeoPackage, GeoJSON or GeoParquet of points.
        size_px: side in pixels, odd.
        min_pixels: squares at the edge of the cube with fewer pixels are dropped, counted and reported.
    """

    kind: Literal["points"] = "points"
    path: str
    size_px: int
    min_pixels: int = 1


class Chips(BaseModel, frozen=True):
    """Square windows that tile the cube: what `--chips` asks for.

    Args:
        size_px: side in pixels; chips at the right and bottom edge keep what the cube has.
        min_pixels: edge chips with fewer pixels are dropped, counted and reported.
        stride_px: from one chip to the next; null is `size_px`, less makes them overlap.
    """

    kind: Literal["chips"] = "chips"
    size_px: int
    min_pixels: int = 1
    stride_px: int | None = None


class Superpixels(BaseModel, frozen=True):
    """Regions of pixels with alike series, found on the cube: what `--superpixels` asks for.

    Args:
        size_px: pixels of a region, about.
        compactness: how much shape counts against likeness.
        min_pixels: regions with fewer pixels are dropped, counted and reported.
    """

    kind: Literal["superpixels"] = "superpixels"
    size_px: int
    compactness: float = 0.1
    min_pixels: int = 1


Regions = Features | Parcels | Points | Chips | Superpixels


class ColumnLabels(BaseModel, frozen=True):
    """One label a region, from a column of the vector file.

    Args:
        field: the column that holds class codes; null means unlabelled.
        name_field: the column that holds class names; by default `<stem>_name` of `<stem>_code`.
    """

    kind: Literal["column"] = "column"
    field: str
    name_field: str | None = None


class RasterLabels(BaseModel, frozen=True):
    """One label a pixel, from a raster; a region gets the label of most of its labelled pixels.

    Args:
        path: one band of class codes; 0 and the raster's nodata mean unlabelled.
        legend: JSON with the names (and colours) of the codes.
    """

    kind: Literal["raster"] = "raster"
    path: str
    legend: str | None = None


class Recipe(BaseModel, frozen=True):
    """Everything that decides what a planar store holds, given its cube.

    Args:
        regions: which pixels belong together.
        labels: where their labels come from.
        orders: curves that are written beside the pixels; `hilbert:5` is a dihedral variant.
        mask: preset that says which observations count as unclear.
        block_m: side in metres of the spatial blocks that splits keep together.
        shard_mb: size that one file of pixels aims at; a region is never split over two.
    """

    regions: Annotated[Regions, Field(discriminator="kind")]
    labels: Annotated[ColumnLabels | RasterLabels, Field(discriminator="kind")] | None = None
    orders: tuple[str, ...] = ("hilbert", "snake")
    mask: str = "standard"
    block_m: int = 1000
    shard_mb: int = 256


class LabelClass(BaseModel, frozen=True):
    """One class; its label is its position in `Manifest.classes`.

    Args:
        code: what the source calls it (`1110`).
        name: what people call it (`Winter wheat`).
        colour: `#rrggbb`.
    """

    code: int | str
    name: str
    colour: str = Field(pattern=r"^#[0-9a-f]{6}$")


class LabelColumn(BaseModel, frozen=True):
    """Where a store keeps its labels.

    Args:
        name: the column or the raster's stem that they come from.
        column: the column of `regions.parquet` with one label a region: `label`, for a raster its
            stem unless that is taken.
        per_pixel: whether `label-NAME-NNNNN.npy` holds one a pixel too.
    """

    name: str
    column: str
    per_pixel: bool


class StoreGrid(BaseModel, frozen=True):
    """The cube's grid, on which `yx` counts rows and columns.

    Args:
        crs: such as `EPSG:32631`.
        transform: a, b, c, d, e, f of x = a col + b row + c, y = d col + e row + f (pixel corners).
        shape: rows, columns.
        resolution_m: pixel size in metres.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]
    resolution_m: int


class Manifest(BaseModel, frozen=True):
    """The contents of a planar store; `manifest.json` holds it as it is.

    Args:
        schema_version: of this format; another one is not read.
        software: what wrote it.
        bands: ids in the order of the band axis.
        scale, offset: reflectance = DN * scale + offset; DN 0 was not observed.
        grid: the cube's.
        mask: preset; `unclear_bits` are the bits of `qa` that it counts as unclear.
        dates, regions, pixels: how many.
        shard_rows: rows of each shard.
        dropped: ids (positions in the source) of regions left out, by reason.
        classes: by label, 0 … K-1; -1 is unlabelled.
        label: where labels are, None without.
        orders: names of the curves under `orders/`.
        recipe: what was asked for.
        cube: where the pixels come from.
        files: sha256 of every other file, by its path in the store.
    """

    format: Literal["sits-data planar store"] = FORMAT
    schema_version: Literal[1] = SCHEMA_VERSION
    software: str
    bands: tuple[str, ...]
    scale: float = DN_SCALE
    offset: float = DN_OFFSET
    grid: StoreGrid
    mask: str
    unclear_bits: int
    dates: int
    regions: int
    pixels: int
    shard_rows: tuple[int, ...]
    dropped: dict[str, tuple[int, ...]]
    classes: tuple[LabelClass, ...]
    label: LabelColumn | None
    orders: tuple[str, ...]
    recipe: Recipe
    cube: dict[str, JsonValue]
    files: dict[str, str]

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if not _FILE_NAME.fullmatch(name) or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{name!r} is not the name of a file of a store")
        return files


class Part(BaseModel, frozen=True):
    """One store of a merged store.

    Args:
        name: its folder.
        regions, pixels, dates: how many.
        crs: of its grid.
        sha256: of its manifest, which has those of its files.
    """

    name: str = Field(pattern=r"^[^/\\\x00]+$")
    regions: int
    pixels: int
    dates: int
    crs: str
    sha256: str


class MergedManifest(BaseModel, frozen=True):
    """A folder of stores that were made by one recipe from several cubes, each with its own dates.

    Args:
        schema_version: of this format; another one is not read.
        software: what wrote it.
        bands: of every part.
        resolution_m: of every part.
        parts: in the order of their cubes.
        empty: why some cubes have no part, by their path.
        outside: ids of the regions that are in no cube.
        recipe: what was asked for.
    """

    format: Literal["sits-data merged planar store"] = MERGED
    schema_version: Literal[1] = SCHEMA_VERSION
    software: str
    bands: tuple[str, ...]
    resolution_m: int
    parts: tuple[Part, ...] = Field(min_length=1)
    empty: dict[str, str]
    outside: tuple[int, ...] = ()
    recipe: Recipe

    @field_validator("parts")
    @classmethod
    def _named_once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if len({part.name for part in parts}) < len(parts):
            raise ValueError("a part is named twice")
        return parts


def shard_file(kind: str, shard: int) -> str:
    """Path in the store of one shard: `pixels-00003.npy`, `orders/hilbert.5-00003.npy`."""
    return f"{kind.replace(':', '.')}-{shard:05d}.npy"
