"""Export: planar images themselves, for those who read neither the store nor index lists."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Never

import numpy as np
from tqdm import tqdm

from sits_data.errors import InvalidRequest, MissingBand
from sits_data.export.formats import WRITERS, Format, Writer
from sits_data.export.images import (
    PAPER_BANDS,
    Canvas,
    Curve,
    Form,
    Layout,
    Native,
    dates_by_year,
    stretch,
)
from sits_data.output import new_folder
from sits_data.store import PlanarStore, open_parts
from sits_data.store.read import is_merged

__all__ = ["Curve", "Form", "Format", "Summary", "export"]

ABOUT = "export.json"
_FORMAT = "sits-data export"


@dataclass(frozen=True)
class Summary:
    """What export did.

    Args:
        out: the folder.
        regions, images: how many.
        shape: (bands, dates, positions) of the longest image.
        bytes: of all files.
        seconds: that it took.
    """

    out: Path
    regions: int
    images: int
    shape: tuple[int, int, int]
    bytes: int
    seconds: float


def export(
    store: str | Path,
    out: str | Path,
    *,
    file_format: Format = "npz",
    form: Form = "native",
    curve: Curve | None = None,
    bands: tuple[str, ...] | None = None,
    year: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Summary:
    """Write a planar store's images, each with its mask and its index list.

    `export.json` beside them says what they are. Of a merged store each part has a folder of its own;
    black, white and the year are the same in all. The folder appears whole or not at all.

    Args:
        store: the planar store.
        out: the folder to make.
        file_format: see `sits_data.export.formats`.
        form: "native" keeps digital numbers, dates and positions; "cviu2021" is the paper's canvas.
        curve: along which, see `Curve`; None is Hilbert's.
        bands: ids; None takes all, for the paper's form near infrared, red and green.
        year: of the paper's form; None is the calendar year with most dates. Parts of a merged store
            without it are left out.
        overwrite: replace an export that is there.
        progress: draw a bar on stderr.

    Raises:
        NotAStore, DamagedStore: there is nothing to read.
        MissingBand: the store lacks a band.
        InvalidRequest: nothing is clear, or the store has no date of that year.
        OutputExists, OutputNotWritable: there is nowhere to write.
    """
    started, out, curve = time.perf_counter(), Path(out), curve or Curve()
    stores = open_parts(store)
    chosen = bands or (PAPER_BANDS if form == "cviu2021" else None)
    places, ids = _positions(stores[0], chosen)
    low, high = stretch(stores, places)
    shown = _year(stores, year) if form == "cviu2021" else None
    with new_folder(out, what="an export", is_one=_is_export, overwrite=overwrite) as folder:
        about = {
            "format": _FORMAT,
            "software": f"sits-data {version('sits-data')}",
            "store": Path(store).name,
            "form": form,
            "curve": asdict(curve),
            "year": shown,
            "bands": ids,
            "black": low.tolist(),
            "white": high.tolist(),
        }
        layouts, parts = [], {}
        bar = tqdm(total=sum(map(len, stores)), desc="export", unit="region", disable=not progress)
        merged = is_merged(Path(store))
        for one in stores:
            if shown is not None and shown not in dates_by_year(one.dates):
                parts[one.path.name] = f"no date of {shown}"
                continue
            maker = (
                Native(places, one.manifest.unclear_bits, low, high)
                if shown is None
                else Canvas(places, one.manifest.unclear_bits, one.dates, shown, low, high)
            )
            target = folder / one.path.name if merged else folder
            layouts.append(_write(one, target, maker, curve, WRITERS[file_format], about, bar))
            parts[one.path.name] = "written"
        bar.close()
        if merged:
            (folder / ABOUT).write_text(json.dumps(about | {"parts": parts}, indent=1) + "\n")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shapes = np.array([layout.shape for layout in layouts])
    return Summary(
        out=out,
        regions=sum(len(one) for one in stores if parts[one.path.name] == "written"),
        images=sum(layout.count for layout in layouts),
        shape=tuple(shapes.max(axis=0).tolist()),
        bytes=size,
        seconds=round(time.perf_counter() - started, 3),
    )


def _write(
    store: PlanarStore,
    folder: Path,
    maker: Native | Canvas,
    curve: Curve,
    writer_of: Callable[[Path, Layout], Writer],
    about: dict[str, object],
    bar: "tqdm[Never]",
) -> Layout:
    """The images of one store, and what they are."""
    folder.mkdir(exist_ok=True)
    layout = maker.layout(store, curve)
    writer = writer_of(folder, layout)
    for number in range(len(store)):
        writer.write(list(maker.images(store.region(number), curve)))
        bar.update()
    writer.close()
    own = {
        "store": store.path.name,
        "dates": store.dates.tolist(),
        "scale": store.manifest.scale,
        "offset": store.manifest.offset,
        "classes": [one.model_dump() for one in store.manifest.classes],
        "images": layout.count,
        "shape": layout.shape,
    }
    (folder / ABOUT).write_text(json.dumps(about | own, indent=1) + "\n")
    return layout


def _positions(
    store: PlanarStore, bands: tuple[str, ...] | None
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], tuple[str, ...]]:
    known = store.manifest.bands
    wanted = bands or known
    if missing := [band for band in wanted if band not in known]:
        raise MissingBand(
            f"{store.path} has no {', '.join(missing)}, it has {', '.join(known)}; choose with --bands"
        )
    return np.array([known.index(band) for band in wanted], np.int64), wanted


def _year(stores: Sequence[PlanarStore], asked: int | None) -> int:
    dates: Counter[int] = Counter()
    for store in stores:
        dates.update(dates_by_year(store.dates))
    if asked is None:
        return max(sorted(dates, reverse=True), key=dates.__getitem__)
    if asked not in dates:
        known = ", ".join(map(str, sorted(dates)))
        raise InvalidRequest(
            f"{stores[0].path} has no date of {asked}; choose one of {known} with --year"
        )
    return asked


def _is_export(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / ABOUT).read_bytes()).get("format") == _FORMAT)
    except (OSError, ValueError, AttributeError):
        return False
