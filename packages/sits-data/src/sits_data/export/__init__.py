"""Export: planar images themselves, for those who read neither the store nor index lists."""

import json
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sits_data.errors import InvalidRequest, MissingBand
from sits_data.export.formats import WRITERS, Format
from sits_data.export.images import PAPER_BANDS, Canvas, Curve, Form, Native, dates_by_year, stretch
from sits_data.output import new_folder
from sits_data.store import PlanarStore, open_store

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

    `export.json` beside them says what they are. The folder appears whole or not at all.

    Args:
        store: the planar store.
        out: the folder to make.
        file_format: see `sits_data.export.formats`.
        form: "native" keeps digital numbers, dates and positions; "cviu2021" is the paper's canvas.
        curve: along which, see `Curve`; None is Hilbert's.
        bands: ids; None takes all, for the paper's form near infrared, red and green.
        year: of the paper's form; None is the calendar year with most dates.
        overwrite: replace an export that is there.
        progress: draw a bar on stderr.

    Raises:
        NotAStore, DamagedStore: there is nothing to read.
        MissingBand: the store lacks a band.
        InvalidRequest: nothing is clear, or the store has no date of that year.
        OutputExists, OutputNotWritable: there is nowhere to write.
    """
    started, out, curve = time.perf_counter(), Path(out), curve or Curve()
    opened = open_store(store)
    places, ids = _positions(opened, bands or (PAPER_BANDS if form == "cviu2021" else None))
    low, high = stretch(opened, places)
    unclear = opened.manifest.unclear_bits
    maker = (
        Native(places, unclear, low, high)
        if form == "native"
        else Canvas(places, unclear, opened.dates, _year(opened, year), low, high)
    )
    layout = maker.layout(opened, curve)
    about = {
        "format": _FORMAT,
        "software": f"sits-data {version('sits-data')}",
        "store": opened.path.name,
        "form": form,
        "curve": asdict(curve),
        "year": maker.year if isinstance(maker, Canvas) else None,
        "bands": ids,
        "dates": opened.dates.tolist(),
        "scale": opened.manifest.scale,
        "offset": opened.manifest.offset,
        "black": low.tolist(),
        "white": high.tolist(),
        "classes": [one.model_dump() for one in opened.manifest.classes],
        "images": layout.count,
        "shape": layout.shape,
    }
    with new_folder(out, what="an export", is_one=_is_export, overwrite=overwrite) as folder:
        writer = WRITERS[file_format](folder, layout)
        for number in tqdm(range(len(opened)), desc="export", unit="region", disable=not progress):
            writer.write(list(maker.images(opened.region(number), curve)))
        writer.close()
        (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Summary(
        out=out,
        regions=len(opened),
        images=layout.count,
        shape=layout.shape,
        bytes=size,
        seconds=round(time.perf_counter() - started, 3),
    )


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


def _year(store: PlanarStore, asked: int | None) -> int:
    dates = dates_by_year(store.dates)
    if asked is None:
        return max(dates, key=dates.__getitem__)
    if asked not in dates:
        known = ", ".join(map(str, sorted(dates)))
        raise InvalidRequest(f"{store.path} has no date of {asked}; choose one of {known} with --year")
    return asked


def _is_export(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / ABOUT).read_bytes()).get("format") == _FORMAT)
    except (OSError, ValueError, AttributeError):
        return False
