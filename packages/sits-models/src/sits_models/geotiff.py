"""Maps as cloud-optimised GeoTIFFs: written window by window, there as a whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError  # what GDAL's copies raise; rasterio names it nowhere else
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter

from sits_data.errors import InvalidRequest, OutputExists, OutputNotWritable
from sits_data.manifest import LabelClass
from sits_data.output import writing_to

NO_CLASS: Final = 255
"""Value of a class map's pixels that were never clear."""

_BLOCK_PX = 512
_CACHE_BYTES = 32 << 20
_SUFFIXES = (".tif", ".tiff")
# What GDAL calls the types and uses of a raster attribute table's columns.
_INTEGER, _STRING = "0", "2"
_NAME, _VALUE, _RED, _GREEN, _BLUE = "2", "5", "6", "7", "8"


@dataclass(frozen=True)
class Layer:
    """One raster to write.

    Args:
        path: its place.
        bands: what each band is, in words.
        dtype: of its values.
        nodata: the value where nothing is known.
        classes: of a class map, by value; empty for numbers.
        tags: what else the file says of itself.
    """

    path: Path
    bands: tuple[str, ...]
    dtype: Literal["uint8", "float32"]
    nodata: float
    classes: tuple[LabelClass, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def class_layer(path: Path, classes: Sequence[LabelClass], tags: Mapping[str, str]) -> Layer:
    """A map of class indices, uint8, with names and colours; 255 is no data.

    Raises:
        InvalidRequest: more classes than uint8 holds.
    """
    if len(classes) > NO_CLASS:
        raise InvalidRequest(f"a map holds at most {NO_CLASS} classes, got {len(classes)}; merge some")
    return Layer(path, ("class",), "uint8", NO_CLASS, tuple(classes), tags)


def probability_layer(path: Path, classes: Sequence[LabelClass], tags: Mapping[str, str]) -> Layer:
    """A map of probabilities, float32 from 0 to 1, one band a class; NaN is no data."""
    return Layer(path, tuple(one.name for one in classes), "float32", float("nan"), tags=tags)


def check_free(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Make sure that GeoTIFFs may be written there.

    Raises:
        InvalidRequest: a path is not named like a GeoTIFF.
        OutputExists: something is there, and may not be replaced.
    """
    for path in paths:
        if path.suffix.lower() not in _SUFFIXES:
            raise InvalidRequest(f"the map is a GeoTIFF, {path} is not named so; use --out NAME.tif")
        if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
            raise OutputExists(f"{path} exists and is not a file; choose another place")
        if path.exists() and not overwrite:
            raise OutputExists(f"{path} exists; replace it with --overwrite, or choose another place")


@contextmanager
def new_cogs(
    layers: Sequence[Layer], geobox: GeoBox, *, overwrite: bool
) -> Iterator[tuple[DatasetWriter, ...]]:
    """Rasters to fill in any order; they become COGs at their places when the block ends well.

    Until then they are tiled GeoTIFFs in a hidden folder beside the first, and GDAL's cache holds the
    blocks that are being written and little more, however much memory there is.

    Args:
        layers: on the same grid.
        geobox: that grid; its transform and CRS are written as they are.
        overwrite: replace files that are there.

    Raises:
        InvalidRequest, OutputExists: see `check_free`.
        OutputNotWritable: no permission, or the disk is full.
    """
    paths = [layer.path for layer in layers]
    check_free(paths, overwrite=overwrite)
    with writing_to(paths[0]):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(
            tempfile.mkdtemp(prefix=f".{paths[0].name}.", suffix=".partial", dir=paths[0].parent)
        )
    try:
        with _rasters(paths[0], cache=_cache_bytes(layers)), ExitStack() as stack:
            parts = [scratch / f"{number}.tif" for number in range(len(layers))]
            writers = [
                stack.enter_context(_scratch(part, layer, geobox))
                for part, layer in zip(parts, layers, strict=True)
            ]
            yield tuple(writers)
        with _rasters(paths[0], cache=_cache_bytes(layers)):
            cogs = [_to_cog(part, layer) for part, layer in zip(parts, layers, strict=True)]
            check_free(paths, overwrite=overwrite)
            for cog, path in reversed(list(zip(cogs, paths, strict=True))):  # the first comes last
                cog.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read_classes(path: Path) -> tuple[LabelClass, ...]:
    """The classes of a class map, by value.

    Raises:
        InvalidRequest: it is none that `new_cogs` wrote.
    """
    try:
        with rasterio.open(path) as raster:
            names, colours = raster.tags(1), raster.colormap(1)
    except (RasterioError, ValueError) as error:
        raise InvalidRequest(
            f"a map is a GeoTIFF of classes with colours, {path} is none ({error}); give what "
            "predict wrote"
        ) from error
    count = next((value for value in range(NO_CLASS + 1) if f"class_{value}" not in names), 0)
    if not count:
        raise InvalidRequest(f"{path} does not name its classes; give the map.tif that predict wrote")
    return tuple(
        LabelClass(
            code=names.get(f"code_{value}", value),
            name=names[f"class_{value}"],
            colour="#{:02x}{:02x}{:02x}".format(*colours[value][:3]),
        )
        for value in range(count)
    )


def _cache_bytes(layers: Sequence[Layer]) -> int:
    """Twice the blocks of one place, of all bands: those that follow are begun before these are full."""
    blocks = sum(len(layer.bands) * np.dtype(layer.dtype).itemsize for layer in layers) * _BLOCK_PX**2
    return max(_CACHE_BYTES, 2 * blocks)


def _scratch(path: Path, layer: Layer, geobox: GeoBox) -> DatasetWriter:
    """A tiled GeoTIFF that says of itself what the COG will say."""
    height, width = geobox.shape
    raster = rasterio.open(
        path, "w", driver="GTiff", dtype=layer.dtype, count=len(layer.bands), height=height, width=width,
        crs=str(geobox.crs), transform=geobox.transform, nodata=layer.nodata, tiled=True,
        blockxsize=_BLOCK_PX, blockysize=_BLOCK_PX, interleave="band", compress="zstd", zstd_level=1,
        bigtiff="if_safer",
    )  # fmt: skip
    raster.update_tags(**layer.tags)
    for number, name in enumerate(layer.bands, start=1):
        raster.set_band_description(number, name)
    if layer.classes:
        raster.write_colormap(1, {value: _rgb(one.colour) for value, one in enumerate(layer.classes)})
        raster.update_tags(1, **{f"class_{value}": one.name for value, one in enumerate(layer.classes)})
        raster.update_tags(1, **{f"code_{value}": one.code for value, one in enumerate(layer.classes)})
    return raster


def _to_cog(path: Path, layer: Layer) -> Path:
    """The COG of a GeoTIFF, beside it: deflate; overviews take means, of classes the most frequent.

    Overviews are made in the GeoTIFF, where GDAL needs half of the memory that its COG driver takes.
    """
    source, cog = path, path.with_suffix(".cog.tif")
    with rasterio.open(path, "r+") as raster:
        block = min(_BLOCK_PX, max(128, -(-max(raster.shape) // 16) * 16))
        halvings = (-(-max(raster.shape) // block) - 1).bit_length()
        if halvings:
            way = Resampling.mode if layer.classes else Resampling.average
            raster.build_overviews([2**level for level in range(1, halvings + 1)], way)
    if layer.classes:
        source = path.with_suffix(".vrt")
        rasterio.shutil.copy(path, source, driver="VRT")
        _add_attribute_table(source, layer.classes)
    rasterio.shutil.copy(
        source, cog, driver="COG", blocksize=block, interleave="band", compress="deflate",
        predictor="no" if layer.classes else "yes", bigtiff="if_safer", num_threads="all_cpus",
    )  # fmt: skip
    with rasterio.open(path) as wanted, rasterio.open(cog) as made:
        whole = made.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
        # GDAL does not tell when a disk fills up during a copy.
        if not whole or any(wanted.checksum(band) != made.checksum(band) for band in wanted.indexes):
            raise RasterioError("it was not written whole")
    return cog


def _add_attribute_table(vrt: Path, classes: Sequence[LabelClass]) -> None:
    """Put a raster attribute table into a VRT: GDAL copies it into the COG, and QGIS shows its names.

    Rasterio cannot write one.
    """
    document = ElementTree.parse(vrt)
    band = document.getroot().find("VRTRasterBand")
    assert band is not None
    table = ElementTree.Element("GDALRasterAttributeTable", tableType="thematic")
    columns = [
        ("Value", _INTEGER, _VALUE), ("Class", _STRING, _NAME), ("Code", _STRING, "0"),
        ("Red", _INTEGER, _RED), ("Green", _INTEGER, _GREEN), ("Blue", _INTEGER, _BLUE),
    ]  # fmt: skip
    for number, cells in enumerate(columns):
        column = ElementTree.SubElement(table, "FieldDefn", index=str(number))
        for tag, text in zip(("Name", "Type", "Usage"), cells, strict=True):
            ElementTree.SubElement(column, tag).text = text
    for value, one in enumerate(classes):
        row = ElementTree.SubElement(table, "Row", index=str(value))
        for cell in (value, one.name, one.code, *_rgb(one.colour)):
            ElementTree.SubElement(row, "F").text = str(cell)
    band.insert(0, table)
    document.write(vrt, encoding="utf-8")


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


@contextmanager
def _rasters(path: Path, *, cache: int) -> Iterator[None]:
    """Bound GDAL's cache, and turn what it refuses to write into one line."""
    with writing_to(path), rasterio.Env(GDAL_CACHEMAX=cache):
        try:
            yield
        except (RasterioError, CPLE_BaseError, SystemError) as error:
            silent = isinstance(error, SystemError)
            reason = "GDAL gives no reason" if silent else error.__cause__ or error
            raise OutputNotWritable(
                f"cannot write {path} ({reason}); make room or choose another place, then run the same "
                "command again"
            ) from error
