"""Predict: from a classifier and a cube to a georeferenced map."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from tqdm import tqdm

import sits_models
from sits_data.cube import RawCube, open_raw
from sits_data.errors import InvalidRequest
from sits_data.mask import MaskName, parse_mask
from sits_data.threads import available_cores
from sits_models import registry
from sits_models.bench.classify import classify_pixels
from sits_models.bench.features import pick_device, view_length
from sits_models.bench.scores import class_names
from sits_models.checkpoint import ModelCard, check_card, load_backbone, load_head, read_card
from sits_models.errors import CheckpointMismatch
from sits_models.geotiff import NO_CLASS, Layer, check_free, class_layer, new_cogs, probability_layer
from sits_models.predict.notes import note_map
from sits_models.predict.strips import CURVE, StripReader, strips_of

__all__ = ["Summary", "map_files", "predict"]

_log = logging.getLogger("sits_models")


@dataclass(frozen=True)
class Summary:
    """What predict did.

    Args:
        out: the map.
        probabilities: of each class.
        pixels: of the map.
        no_data: pixels that were never clear.
        dates: that were read.
        classes: pixels of each class, by name.
        seconds: that it took.
    """

    out: Path
    probabilities: Path
    pixels: int
    no_data: int
    dates: int
    classes: dict[str, int]
    seconds: float

    def shown(self, *, as_json: bool) -> dict[str, object]:
        """As the command prints it: dictionaries for JSON, `wheat: 17` for people."""
        summary = asdict(self) | {"out": str(self.out), "probabilities": str(self.probabilities)}
        if as_json:
            return summary
        mapped = max(1, self.pixels - self.no_data)
        shares = [f"{name}: {count / mapped:.1%}" for name, count in self.classes.items()]
        return summary | {"classes": ", ".join(shares), "seconds": f"{self.seconds:.1f}"}


def predict(
    checkpoint: str | Path,
    cube: str | Path,
    out: str | Path,
    *,
    period: str | None = None,
    chip_px: int = 32,
    batch_size: int = 64,
    device: str | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Summary:
    """Map a cube: the most probable class of each pixel, and the probability of every class.

    The cube is cut into chips. Each is read along its Hilbert curve, twice, the second time with
    windows shifted by half a window, and the two are averaged, so that no pixel is only ever named
    at the edge of a window. All dates are read. Memory holds a part of one block of the cube
    (512 × 512 pixels, all dates), however large the cube is.

    A pixel that was never clear under the checkpoint's mask preset is 255 in the map, NaN in its
    probabilities. Both files appear whole or not at all. The map is noted in the checkpoint's folder
    (`maps.json`), where the report finds it.

    Args:
        checkpoint: of a classifier: what probe or finetune wrote.
        cube: a finished cube of the bands and the resolution that the checkpoint was trained on.
        out: the map, `NAME.tif`; its probabilities become `NAME.prob.tif`.
        period: first day of the period that is compared with the one before, of a classifier that
            compares each; None for all others.
        chip_px: side of a chip in pixels, at least 1.
        batch_size: windows at once.
        device: such as `cpu` or `cuda`; None takes a GPU where there is one.
        threads: that read the cube; None takes as many as there are cores.
        overwrite: replace a map that is there.
        progress: draw a bar on stderr.

    Raises:
        NotACheckpoint: nothing there, or a backbone that names no classes.
        CheckpointMismatch: bands, resolution or units of the cube are not the checkpoint's.
        NotACube, IncompleteCube, DamagedCube: there is nothing to read.
        InvalidRequest, OutputExists, OutputNotWritable: there is nowhere to write.
        MissingDevice: the device is not there.
    """
    started, checkpoint, out = time.perf_counter(), Path(checkpoint), Path(out)
    for name, value in (("chip_px", chip_px), ("batch_size", batch_size), ("threads", threads)):
        if value is not None and value < 1:
            raise InvalidRequest(f"{name} must be at least 1, got {value}")
    places = map_files(out)
    check_free(places, overwrite=overwrite)
    card, raw = read_card(checkpoint), open_raw(cube)
    mask, change = _check(card, raw), _change(card, period)
    head = load_head(checkpoint)
    if not card.per_pixel:
        _log.warning(
            "%s has no features of single pixels: the map names windows of %d of them at once",
            card.backbone,
            view_length(card),
        )
    target = pick_device(device)
    backbone = load_backbone(checkpoint).to(target)
    head = head.to(target)
    strips = list(strips_of(raw, chip_px=chip_px))
    counts = np.zeros(NO_CLASS + 1, np.int64)
    with (
        new_cogs(_layers(places, card, checkpoint, raw), raw.geobox, overwrite=overwrite) as files,
        ThreadPoolExecutor(threads or available_cores()) as pool,
        tqdm(total=raw.geobox.shape[0] * raw.geobox.shape[1], unit="px", unit_scale=True,
             desc="predict", disable=not progress) as bar,
    ):  # fmt: skip
        reader = StripReader(raw, mask=mask, pool=pool)
        for strip in strips:
            chances = classify_pixels(
                backbone,
                head,
                reader.read(strip),
                normalisation=card.normalisation,
                curve=CURVE,
                length=view_length(card),
                batch_size=batch_size,
                device=target,
                form=registry.form_of(card.backbone, card.backbone_arguments),
                target=change,
                advance=bar.update,
            )
            named = _most_probable(chances)
            y, x = (strip.yx - np.array([strip.y, strip.x])).T
            classes = np.empty((strip.height, strip.width), np.uint8)
            probabilities = np.empty((chances.shape[1], strip.height, strip.width), np.float32)
            classes[y, x], probabilities[:, y, x] = named, chances.T
            window = Window(strip.x, strip.y, strip.width, strip.height)
            files[0].write(classes, 1, window=window)
            files[1].write(probabilities, window=window)
            counts += np.bincount(named, minlength=NO_CLASS + 1)
    note_map(checkpoint, out, cube=raw.path, classes=card.classes)
    return Summary(
        out=out,
        probabilities=places[1],
        pixels=int(counts.sum()),
        no_data=int(counts[NO_CLASS]),
        dates=len(raw.dates),
        classes=dict(zip(class_names(card.classes), counts.tolist(), strict=False)),
        seconds=round(time.perf_counter() - started, 3),
    )


def map_files(out: Path) -> tuple[Path, Path]:
    """Where a map and its probabilities are: `map.tif` and `map.prob.tif`."""
    return out, out.with_name(f"{out.stem}.prob{out.suffix}")


def _layers(places: tuple[Path, Path], card: ModelCard, checkpoint: Path, raw: RawCube) -> list[Layer]:
    days = np.sort(raw.dates).astype("datetime64[D]").astype(str)
    tags = {
        "TIFFTAG_SOFTWARE": f"sits-models {sits_models.__version__}",
        "checkpoint": checkpoint.name,
        "cube": raw.path.name,
        "period": f"{days[0]}/{days[-1]}",
        "licence": card.licence,
    }
    tags = {name: text for name, text in tags.items() if text}
    return [
        class_layer(places[0], card.classes, tags),
        probability_layer(places[1], card.classes, tags),
    ]


def _check(card: ModelCard, raw: RawCube) -> MaskName:
    """Compare everything before a pixel is read; the card's mask."""
    said = raw.array("reflectance").attrs.get("units")
    check_card(
        card,
        bands=raw.bands,
        resolution_m=raw.resolution_m,
        units="reflectance" if said == "1" else str(said),
    )
    try:
        parse_mask(card.mask)
    except InvalidRequest as error:
        raise CheckpointMismatch(
            f"the checkpoint's mask must be known to this version ({error}); export it again"
        ) from error
    return card.mask


def _change(card: ModelCard, period: str | None) -> int | None:
    """Which of several comparisons is drawn; None where there is one."""
    made = card.backbone_arguments
    known = [str(one) for one in made["periods"]] if made.get("each") else []  # type: ignore[union-attr]
    if period in known:
        return known.index(period)
    if known:
        raise InvalidRequest(
            "the classifier compares each period with the one before; say which by its first day: "
            f"--period {' or '.join(known)}" + (f", got {period}" if period else "")
        )
    if period is not None:
        raise InvalidRequest(
            f"the classifier compares no periods one by one, got period {period}; leave it out"
        )
    return None


def _most_probable(chances: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(N,) class of each pixel from (N, K) probabilities; 255 where they are NaN."""
    named: NDArray[np.uint8] = np.nan_to_num(chances, nan=-1).argmax(axis=1).astype(np.uint8)
    named[np.isnan(chances).any(axis=1)] = NO_CLASS
    return named
