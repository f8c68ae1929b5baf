"""Labels: 0 … K-1 in the order of the class codes, -1 where nothing is known."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import rasterio.crs
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from sits_data.errors import InvalidLabels
from sits_data.manifest import LabelClass

UNLABELLED = -1

Code = int | str

_STRIP_ROWS = 512
_MOST_CLASSES = 1000

_PALETTE = (
    "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#f0e442",
    "#332288", "#117733", "#999933", "#882255", "#ddcc77", "#aa4499", "#44aa99", "#88ccee",
)  # fmt: skip
"""Seven colours that all readers tell apart, then eight more.

Source: Okabe and Ito, Color Universal Design (2008); Tol, Colour Schemes (2021), "muted".
"""


class LegendEntry(BaseModel, frozen=True):
    """What a legend file says of one code."""

    code: int
    name: str
    colour: str | None = Field(default=None, pattern="^#[0-9a-fA-F]{6}$")


class _Legend(BaseModel):
    classes: list[LegendEntry]


@dataclass(frozen=True)
class ColumnClasses:
    """Labels of regions, from a column.

    Args:
        classes: by label.
        labels: (regions,) int32, -1 where the column is null.
    """

    classes: tuple[LabelClass, ...]
    labels: NDArray[np.int32]


def column_labels(frame: pd.DataFrame, field: str, *, name_field: str | None = None) -> ColumnClasses:
    """Labels from a column of class codes.

    Names come from `name_field`; without one from `<stem>_name` if the field is `<stem>_code` and
    that column has one name a code; else the code is the name.

    Args:
        frame: one row a region.
        field: integers or text; null is unlabelled.
        name_field: column of class names.

    Raises:
        InvalidLabels: a column is missing or empty, holds fractions, or a code has two names.
    """
    codes = _codes(_column(frame, field), field)
    known = codes.notna()
    if not known.any():
        raise InvalidLabels(f"the column {field} is null everywhere; choose another --label-field")
    distinct = sorted(codes[known].unique())
    names = _names(frame, codes, field, name_field)
    position = {code: label for label, code in enumerate(distinct)}
    labels = codes.map(position).fillna(UNLABELLED).to_numpy(np.int32)
    return ColumnClasses(_classes(distinct, names, {}), labels)


@dataclass(frozen=True)
class LabelRaster:
    """A raster of class codes as seen on the cube's grid.

    Args:
        path: the raster.
        name: its stem.
        geobox: the cube's grid.
        classes: by label.
        resampled: whether its grid is another one, so that each pixel has the label nearest to its
            centre.
    """

    path: Path
    name: str
    geobox: GeoBox
    classes: tuple[LabelClass, ...]
    resampled: bool

    def read(self, y: int, x: int, shape: tuple[int, int]) -> NDArray[np.int32]:
        """Labels of a window of the cube's grid, -1 = unlabelled; all of it lies on the grid."""
        codes = np.array([int(one.code) for one in self.classes], np.int64)
        with rasterio.open(self.path) as source:
            found = _read_codes(source, self.geobox, Window(x, y, shape[1], shape[0]))
        label = np.searchsorted(codes, found).astype(np.int32)
        return np.where(found == 0, np.int32(UNLABELLED), label)


def open_label_raster(
    path: str | Path, geobox: GeoBox, *, legend: str | Path | None = None
) -> LabelRaster:
    """Find the classes of a label raster within the cube.

    A raster on the cube's lattice is read as it is, whatever it covers; any other is resampled to
    the nearest pixel, which `resampled` tells. What it does not cover is unlabelled.

    Args:
        path: one band of integer codes; 0 and nodata are unlabelled.
        geobox: the cube's grid.
        legend: JSON with the names of the codes, see `read_legend`; without it, and for codes that
            it lacks, the code is the name. Colours come from the legend, else from the raster's
            colour table, else from a palette.

    Raises:
        InvalidLabels: the raster or the legend cannot be used, or no labelled pixel lies in the cube.
    """
    path = Path(path)
    if not path.exists():
        raise InvalidLabels(f"{path} does not exist; give a raster of class codes with --labels")
    name = re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)
    entries = {} if legend is None else read_legend(legend, path.stem)
    try:
        with rasterio.open(path) as source:
            _check_raster(source, path)
            codes = _distinct_codes(source, geobox)
            colours = _colour_table(source)
            resampled = not _on_lattice(source, geobox)
    except RasterioIOError as error:
        raise InvalidLabels(f"{path} cannot be read as a raster ({error}); check the file") from error
    if len(codes) > _MOST_CLASSES:
        raise InvalidLabels(
            f"{path} has {len(codes)} different values within the cube, more than {_MOST_CLASSES}; "
            "labels are codes of classes, not measurements: give another raster"
        )
    if not codes:
        raise InvalidLabels(
            f"{path} has no labelled pixel within the cube; check that it covers the same place"
        )
    names: dict[Code, str] = {code: entry.name for code, entry in entries.items()}
    colours |= {code: entry.colour for code, entry in entries.items() if entry.colour}
    return LabelRaster(path, name, geobox, _classes(codes, names, colours), resampled)


def read_legend(path: str | Path, stem: str) -> dict[int, LegendEntry]:
    """Names and colours of codes from JSON.

    Args:
        path: a list of `{"code": 1110, "name": "Winter wheat", "colour": "#e69f00"}` (the colour may
            be left out), or `{"classes": [...]}`, or several of these by the stem of their raster.
        stem: of the raster that the legend is wanted for.

    Raises:
        InvalidLabels: the file is missing, or is something else, or says nothing of `stem`.
    """
    shape = 'a legend is a JSON list of {"code": 1, "name": "wheat"}, or has one by raster stem'
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidLabels(f"{path} does not exist; {shape}") from error
    except (OSError, ValueError) as error:
        raise InvalidLabels(f"{path} is not JSON ({error}); {shape}") from error
    if isinstance(content, dict) and "classes" not in content:
        if stem not in content:
            raise InvalidLabels(f"{path} has no legend for {stem}; it has {', '.join(content)}")
        content = content[stem]
    try:
        if isinstance(content, dict):
            entries = _Legend.model_validate(content).classes
        else:
            entries = TypeAdapter(list[LegendEntry]).validate_python(content)
    except ValidationError as error:
        raise InvalidLabels(f"{path}: {error.errors()[0]['msg']}; {shape}") from error
    return {entry.code: entry for entry in entries}


def majority(labels: NDArray[np.int32], first_row: NDArray[np.int64]) -> NDArray[np.int32]:
    """The commonest label of each region; of equals the lower, -1 only where no pixel has one.

    Args:
        labels: (rows,) int32, region after region.
        first_row: (regions,) where each starts.
    """
    regions = len(first_row)
    region = np.repeat(np.arange(regions), np.diff(first_row, append=len(labels)))
    known = labels >= 0
    classes = int(labels.max(initial=0)) + 1
    pairs, counts = np.unique(region[known] * classes + labels[known], return_counts=True)
    winner = np.full(regions, UNLABELLED, np.int32)
    # Written from the rarest to the commonest, and from high labels to low ones, so the last wins.
    last = np.lexsort((-pairs, counts))
    winner[pairs[last] // classes] = pairs[last] % classes
    return winner


def _column(frame: pd.DataFrame, field: str) -> pd.Series:
    if field not in frame.columns:
        columns = ", ".join(map(str, frame.columns)) or "none"
        raise InvalidLabels(f"there is no column {field}; the file has {columns}")
    return frame[field]


def _codes(values: pd.Series, field: str) -> pd.Series:
    """The column as Python integers or strings, null as None."""
    numeric = pd.api.types.is_numeric_dtype(values)
    if numeric and (values.dropna() % 1 != 0).any():
        raise InvalidLabels(
            f"the column {field} holds fractions such as {values.dropna().iloc[0]}; class codes are "
            "integers or text: choose another --label-field"
        )
    convert = int if numeric else str
    return pd.Series(
        [None if pd.isna(value) else convert(value) for value in values], values.index, object
    )


def _names(frame: pd.DataFrame, codes: pd.Series, field: str, name_field: str | None) -> dict[Code, str]:
    guess = field.removesuffix("_code") + "_name"
    asked = name_field is not None
    if name_field is None:
        if not field.endswith("_code") or guess not in frame.columns:
            return {}
        name_field = guess
    pairs = pd.DataFrame({"code": codes, "name": _column(frame, name_field)}).dropna()
    pairs = pairs.drop_duplicates()
    twice = pairs["code"].duplicated(keep=False)
    if twice.any() and asked:
        code = pairs["code"][twice].iloc[0]
        names = ", ".join(map(str, pairs["name"][pairs["code"] == code]))
        raise InvalidLabels(
            f"code {code} of {field} has several names in {name_field} ({names}); make them one, or "
            "leave --name-field out"
        )
    return {} if twice.any() else dict(zip(pairs["code"], pairs["name"].map(str), strict=True))


def _classes(
    codes: Sequence[Code], names: Mapping[Code, str], colours: Mapping[Code, str]
) -> tuple[LabelClass, ...]:
    return tuple(
        LabelClass(
            code=code,
            name=names.get(code, str(code)),
            colour=colours.get(code, _PALETTE[label % len(_PALETTE)]).lower(),
        )
        for label, code in enumerate(codes)
    )


def _check_raster(source: rasterio.DatasetReader, path: Path) -> None:
    if source.count != 1:
        raise InvalidLabels(f"a label raster has one band, {path} has {source.count}; extract one")
    if source.crs is None:
        raise InvalidLabels(f"{path} does not say its CRS; assign one, for example EPSG:32631")
    if np.dtype(source.dtypes[0]).kind not in "iuf":
        raise InvalidLabels(f"{path} holds {source.dtypes[0]}; class codes are integers")


def _read_codes(source: rasterio.DatasetReader, geobox: GeoBox, window: Window) -> NDArray[np.int64]:
    """Codes on the cube's grid, 0 where there is none."""
    height, width = geobox.shape
    with WarpedVRT(
        source,
        crs=str(geobox.crs),
        transform=geobox.transform,
        height=height,
        width=width,
        resampling=Resampling.nearest,
    ) as warped:
        values = warped.read(1, window=window)
    unknown = values == source.nodata if source.nodata is not None else np.zeros(values.shape, bool)
    if values.dtype.kind == "f":
        unknown |= np.isnan(values)
        values = np.where(unknown, 0, values)
        if (values % 1 != 0).any():
            raise InvalidLabels(f"{source.name} holds fractions; class codes are integers")
    return np.where(unknown, 0, values).astype(np.int64)


def _distinct_codes(source: rasterio.DatasetReader, geobox: GeoBox) -> list[int]:
    height, width = geobox.shape
    found: set[int] = set()
    for y in range(0, height, _STRIP_ROWS):
        strip = Window(0, y, width, min(_STRIP_ROWS, height - y))
        found.update(np.unique(_read_codes(source, geobox, strip)).tolist())
    return sorted(found - {0})


def _colour_table(source: rasterio.DatasetReader) -> dict[Code, str]:
    try:
        table = source.colormap(1)
    except ValueError:  # rasterio's way to say that there is none
        return {}
    return {code: "#{:02x}{:02x}{:02x}".format(*colour[:3]) for code, colour in table.items()}


def _on_lattice(source: rasterio.DatasetReader, geobox: GeoBox) -> bool:
    """Whether the raster's pixels are pixels of the cube's grid, extended where it ends."""
    if source.crs != rasterio.crs.CRS.from_user_input(str(geobox.crs)):
        return False
    ours, theirs = np.array(geobox.transform[:6]), np.array(source.transform[:6])
    steps, corner = [0, 1, 3, 4], [2, 5]
    shift = (theirs[corner] - ours[corner]) / ours[[0, 4]]
    return np.allclose(theirs[steps], ours[steps]) and np.allclose(shift, shift.round(), atol=1e-3)
