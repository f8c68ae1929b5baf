"""Features of whole regions, window after window along a curve, or as they lie on the ground."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from sits_data.errors import InvalidRequest
from sits_models.catalogue import Form
from sits_models.checkpoint import ModelCard
from sits_models.data.curves import USUAL, whole_curve
from sits_models.data.items import Items
from sits_models.data.normalisation import Normalisation
from sits_models.data.table import PixelTable
from sits_models.data.windows import Windows
from sits_models.errors import MissingDevice

Numbers = NDArray[np.int64]

LENGTH = 64


class PixelFeatures(NamedTuple):
    """One feature vector a pixel, pixels of a region after each other in raster order.

    Args:
        features: (N, D) float32, on the CPU.
        region: (N,) int64 which of the regions asked for, 0 … R-1.
        seen: (N,) bool, whether the pixel was clear at least once.
    """

    features: Tensor
    region: Tensor
    seen: Tensor


@dataclass(frozen=True, eq=False)
class Embedder:
    """A backbone, and how it is shown regions.

    Args:
        backbone: batch → features with `pixels` (B, L, D).
        normalisation: that it was trained with; None for reflectance.
        length: positions of a window.
        batch_size: windows at once.
        device: that computes.
        order: curve; None is the table's first.
        form: of the samples that the backbone takes; chips show a region at once.
        progress: what a bar on stderr is called; None for no bar.
    """

    backbone: nn.Module
    normalisation: Normalisation | None
    length: int = LENGTH
    batch_size: int = 64
    device: torch.device | str = "cpu"
    order: str | None = None
    form: Form = "curve"
    progress: str | None = None

    def regions(self, table: PixelTable, regions: Tensor, *, target: int | None = None) -> Tensor:
        """The mean of each region's pixel features, over all its windows and all dates.

        It means the same for a region that fits one window as for one that needs many, and a linear
        head that names it names its pixels too.

        Args:
            table: the pixels.
            regions: (R,) int64 positions in it.
            target: which of several; None where there is one.

        Returns:
            (R, D) float32, on the CPU; a region that was never clear is 0.

        Raises:
            InvalidRequest: the table has no such curve.
        """
        total, count = None, torch.zeros(len(regions), 1)
        for window in self._windows(table, regions, target):
            if total is None:
                total = torch.zeros(len(regions), window.pixels.shape[2])
            total.index_add_(0, window.owner, (window.pixels * window.seen[..., None]).sum(1))
            count.index_add_(0, window.owner, window.seen.sum(1, keepdim=True).float())
        return torch.zeros(0, 0) if total is None else total / count.clamp(min=1)

    def pixels(self, table: PixelTable, regions: Tensor) -> PixelFeatures:
        """The features of each pixel of some regions; arguments and errors as for `regions`."""
        size = table.size[regions.to(table.device)].cpu()
        first = size.cumsum(0) - size
        region = torch.repeat_interleave(torch.arange(len(regions)), size)
        features, seen = torch.zeros(0, 0), torch.zeros(len(region), dtype=torch.bool)
        for window in self._windows(table, regions):
            if not len(features):
                features = torch.zeros(len(region), window.pixels.shape[2])
            inside = window.rows >= 0
            rows = (first[window.owner, None] + window.rows)[inside]
            features[rows], seen[rows] = window.pixels[inside], window.seen[inside]
        return PixelFeatures(features, region, seen)

    def items(self, table: PixelTable, items: Items) -> Tensor:
        """The features of samples, regions, their targets or pixels, in their order: (N, D) float32."""
        if items.targets is not None:
            known = np.unique(items.targets).tolist()
            places = [np.flatnonzero(items.targets == target) for target in known]
            parts = [
                self.regions(table, torch.from_numpy(items.regions[place]), target=target)
                for target, place in zip(known, places, strict=True)
            ]
            return torch.cat(parts)[np.concatenate(places).argsort()]
        regions, which = np.unique(items.regions, return_inverse=True)
        if items.rows is None:
            return self.regions(table, torch.from_numpy(regions))[which]
        features = self.pixels(table, torch.from_numpy(regions)).features
        return features[pixel_places(table, regions, items)]

    def _windows(
        self, table: PixelTable, regions: Tensor, target: int | None = None
    ) -> Iterator["_Window"]:
        backbone = self.backbone.to(self.device).eval()
        windows = Windows(
            table, regions, self.form, curve_of(table, self.order), self.length, self.batch_size,
            self.normalisation, self.device,
        )  # fmt: skip
        for owner, rows, batch in tqdm(
            windows, desc=self.progress, unit="batch", disable=self.progress is None, leave=False
        ):
            if target is not None:
                batch["target"] = torch.full_like(batch["region"], target)
            with torch.no_grad():  # inference tensors could not train a head later
                pixels = backbone(batch).pixels.float().cpu().flatten(1, -2)
            yield _Window(owner.cpu(), rows.cpu(), pixels, batch["clear"].any(1).flatten(1).cpu())


class _Window(NamedTuple):
    owner: Tensor  # (B,) which region
    rows: Tensor  # (B, L) region-local, -1 padded
    pixels: Tensor  # (B, L, D)
    seen: Tensor  # (B, L) bool


def pixel_places(table: PixelTable, regions: Numbers, items: Items) -> Numbers:
    """Where samples are among all pixels of some regions, put after each other.

    Args:
        table: the pixels.
        regions: (R,) int64 positions, ascending, those of the samples among them.
        items: (N,) samples that are pixels.

    Returns:
        (N,) int64.
    """
    assert items.rows is not None, "samples are regions"
    size = table.size.cpu().numpy()[regions]
    start = np.cumsum(size) - size
    return np.asarray(start[np.searchsorted(regions, items.regions)] + items.rows)


def pick_device(name: str | None) -> torch.device:
    """The device of a name; None is a GPU where there is one.

    Raises:
        InvalidRequest: it is the name of neither the CPU nor a GPU.
        MissingDevice: it is not there.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InvalidRequest(f"a device is called cpu, cuda or cuda:0, got {name}")
    device = torch.device(name)
    there = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= there:
        raise MissingDevice(f"{name} must be a GPU of this machine, which has {there}; use --device cpu")
    return device


def view_length(card: ModelCard) -> int:
    """Positions of the windows that a checkpoint was trained on."""
    length = card.views.get("length")
    return length if isinstance(length, int) and length > 0 else LENGTH


def curve_of(table: PixelTable, order: str | None = None) -> str:
    """The curve that regions are read along: the one asked for, the first stored, or `USUAL`.

    Raises:
        InvalidRequest: there is no such curve, or it does not come to every pixel once.
    """
    name = order or next(iter(table.curves), USUAL)
    whole_curve(table, name)
    return name
