"""Changes without labels: how far apart a frozen backbone sees two periods of the same region.

The threshold comes from pairs that did not change. Its rank among them bounds the share of false alarms
as in split conformal prediction: Papadopoulos et al., ECML 2002; Laxhammar and Falkman, 2010.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sits_data.errors import InvalidRequest, OutputExists
from sits_data.output import writing_to
from sits_models import registry
from sits_models.backbones import Features
from sits_models.backbones.siamese import first_days, split_period
from sits_models.bench.features import Embedder, pick_device, view_length
from sits_models.checkpoint import check_card, load_backbone, read_card
from sits_models.data.residence import open_table
from sits_models.data.stores import open_one

SUFFIX = ".gpkg"

_Embed = Callable[[int, int | None, str], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Changes:
    """What changed in a store.

    Args:
        out: the file of its regions.
        regions: how many were seen in both periods.
        changed: how many of them changed.
        threshold: distance from which on a region changed.
        calibrated: pairs that the threshold was found from.
        pairs: what these pairs were, in words.
        false_alarms: share of other unchanged regions above the threshold; None where none are known.
        found: share of the regions of other classes above it; None likewise.
    """

    out: Path
    regions: int
    changed: int
    threshold: float
    calibrated: int
    pairs: str
    false_alarms: float | None
    found: float | None


def detect_changes(
    checkpoint: str | Path,
    store: str | Path,
    out: str | Path,
    *,
    period: str,
    unchanged: str | None = None,
    false_alarms: float = 0.05,
    seed: int = 0,
    device: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Changes:
    """Compare two periods of each region by the cosine distance of their embeddings.

    With a class of regions that did not change, half of them calibrate and the other half tell how many
    false alarms there are. Without, the halves of each period do, every other date: they differ in sky
    but not in season or year, so that a change is whatever is larger than that.

    Args:
        checkpoint: of a backbone, pretrained or fine-tuned.
        store: of one cube.
        out: `NAME.gpkg` to write: the regions with `distance` and `changed`.
        period: ISO date on which the second one begins.
        unchanged: code of the store's class of regions that did not change.
        false_alarms: share of unchanged pairs that may lie above the threshold, above 0 and below 1.
        seed: of which half calibrates.
        device: such as `cpu` or `cuda`; None takes a GPU where there is one.
        overwrite: replace a file that is there.
        progress: draw bars on stderr.

    Raises:
        NotACheckpoint, CheckpointMismatch: the checkpoint cannot be used, or not on this store.
        NotAStore, DamagedStore: there is nothing to read.
        InvalidRequest: no such class, too few pairs, or a period without dates.
        OutputExists, OutputNotWritable: there is nowhere to write.
        MissingDevice: the device is not there.
    """
    out = Path(out)
    if out.suffix != SUFFIX:
        raise InvalidRequest(f"changes are written as a GeoPackage, got {out}; use --out NAME{SUFFIX}")
    if out.exists() and not overwrite:
        raise OutputExists(f"{out} exists; replace it with --overwrite, or choose another --out")
    begins, opened, card = first_days([period]), open_one(store), read_card(checkpoint)
    check_card(card, bands=opened.manifest.bands, resolution_m=opened.manifest.grid.resolution_m)
    codes = [str(one.code) for one in opened.manifest.classes]
    if unchanged is not None and unchanged not in codes:
        raise InvalidRequest(
            f"{unchanged} must be the code of a class of {opened.path}, which has "
            f"{', '.join(codes) or 'none'}"
        )
    if not opened.dates.min() < begins[0] <= opened.dates.max():
        first, last = opened.dates[[0, -1]].astype("datetime64[D]")
        raise InvalidRequest(f"both periods need dates, {period} must lie in {first} to {last}")
    backbone, table = load_backbone(checkpoint), open_table(opened.path)
    regions = torch.arange(len(opened))

    def embed(number: int, every: int | None, name: str) -> tuple[Tensor, Tensor]:
        """Embeddings (R, D) of a period, or of every other date of it, and who was seen."""
        embedder = Embedder(
            _OnePeriod(backbone, number, begins, every), card.normalisation, view_length(card),
            device=pick_device(device), form=registry.form_of(card.backbone, card.backbone_arguments),
            progress=name if progress else None,
        )  # fmt: skip
        found = embedder.regions(table, regions)
        return found, found.any(1)

    (before, seen_before), (after, seen_after) = (
        embed(number, None, f"period {number + 1}") for number in (0, 1)
    )
    distance = _distance(before, after)
    seen = seen_before & seen_after
    if unchanged is not None:
        same = np.flatnonzero((opened.labels == codes.index(unchanged)) & seen.numpy())
        same = np.random.default_rng(seed).permutation(same)
        pairs, rest = distance[same[: len(same) // 2]], same[len(same) // 2 :]
        words = f"half of the regions of class {unchanged}"
    else:
        pairs, rest = _halves(embed), np.array([], np.int64)
        words = "every other date of a period against the dates between"
    threshold = calibrate(pairs.numpy(), false_alarms=false_alarms)
    changed = (distance > threshold) & seen
    frame = opened.to_geopandas()
    frame["distance"] = np.where(seen, distance, np.nan)
    frame["changed"] = changed.numpy()
    _write(frame, out)
    other = seen.numpy() & (opened.labels >= 0)
    if unchanged is not None:
        other &= opened.labels != codes.index(unchanged)
    known = unchanged is not None
    return Changes(
        out=out,
        regions=int(seen.sum()),
        changed=int(changed.sum()),
        threshold=threshold,
        calibrated=len(pairs),
        pairs=words,
        false_alarms=float(changed.numpy()[rest].mean()) if known and len(rest) else None,
        found=float(changed.numpy()[other].mean()) if known and other.any() else None,
    )


def calibrate(unchanged: NDArray[np.floating], *, false_alarms: float) -> float:
    """The distance above which at most that share of unchanged pairs is to be expected.

    Among N pairs that did not change, and one more like them, each rank is as likely; the threshold is
    the value of rank ⌈(N + 1)(1 - false_alarms)⌉.

    Args:
        unchanged: (N,) distances of pairs that did not change.
        false_alarms: above 0 and below 1.

    Raises:
        InvalidRequest: the share is out of its range, or there are too few pairs for it.

    >>> calibrate(np.arange(19.0), false_alarms=0.1)
    17.0
    """
    if not 0 < false_alarms < 1:
        raise InvalidRequest(
            f"the share of false alarms must be above 0 and below 1, got {false_alarms}"
        )
    rank = math.ceil(round((len(unchanged) + 1) * (1 - false_alarms), 9))
    if rank > len(unchanged):
        least = math.ceil(round(1 / false_alarms, 9)) - 1
        raise InvalidRequest(
            f"a share of {false_alarms:g} false alarms needs at least {least} unchanged pairs, got "
            f"{len(unchanged)}; allow more, or name more regions that did not change"
        )
    return float(np.sort(unchanged)[rank - 1])


class _OnePeriod(nn.Module):
    """A backbone that is shown one period, or every other of its dates."""

    def __init__(self, one: nn.Module, number: int, begins: Sequence[int], every: int | None) -> None:
        super().__init__()
        self.one, self.number, self.begins, self.every = one, number, begins, every

    def forward(self, batch: dict[str, Tensor]) -> Features:
        part = split_period(batch, self.number, self.begins)
        if self.every is not None:
            turn = torch.arange(part["clear"].shape[1], device=part["clear"].device) % 2 == self.every
            mine = turn.view(-1, *[1] * (part["clear"].ndim - 2))
            part = {**part, "clear": part["clear"] & mine, "pad_mask": part["pad_mask"] & turn}
        features: Features = self.one(part)
        seen = part["clear"].any(1)[..., None]
        return Features(features.embedding, features.pixels * seen)


def _halves(embed: _Embed) -> Tensor:
    """Distances between the halves of each period, of regions seen in both halves."""
    found = []
    for number in (0, 1):
        (even, seen_even), (odd, seen_odd) = (
            embed(number, every, f"half {every + 1} of period {number + 1}") for every in (0, 1)
        )
        found.append(_distance(even, odd)[seen_even & seen_odd])
    return torch.cat(found)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - cosine, (R,)."""
    return 1 - nn.functional.cosine_similarity(one, other, dim=1)


def _write(frame: gpd.GeoDataFrame, out: Path) -> None:
    """A GeoPackage that is there as a whole or not at all."""
    with writing_to(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = out.with_name(f".{out.stem}.partial{SUFFIX}")
        scratch.unlink(missing_ok=True)
        try:
            frame.to_file(scratch, layer="changes", driver="GPKG")
            scratch.replace(out)
        finally:
            scratch.unlink(missing_ok=True)
