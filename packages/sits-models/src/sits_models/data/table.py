"""The pixels of a store as tensors: mapped from disk, or resident on the device that trains."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_data.errors import DamagedStore
from sits_data.manifest import LabelClass
from sits_data.orders import neighbours, spectral
from sits_data.store import PlanarStore, open_store
from sits_models.data.normalisation import Normalisation

Resident = Literal["auto", "always", "never"]

_ROWS = 1 << 16

_log = logging.getLogger("sits_models")


class Near(NamedTuple):
    """The neighbours of each pixel in its region, see `sits_data.orders.Neighbours`; N is 4 or 8.

    Args:
        rows: (P, N) int32 rows of the table, left-packed; the rest repeats the pixel itself.
        degree: (P,) int32, 1 … N.
        bounds: (P, N) int32 sums of weights; None weighs all alike.
    """

    rows: Tensor
    degree: Tensor
    bounds: Tensor | None = None


@dataclass(frozen=True, eq=False)
class PixelTable:
    """One row a pixel, a region's rows after each other; all tensors lie on `device`.

    Args:
        pixels: of each shard, (rows, T, C) int16, the bits of uint16 DN; 0 = not observed.
        qa: of each shard, (rows, T) uint8 bits.
        yx: (N, 2) int32 row and column on the cube's grid, of all shards.
        curves: (N,) int32 region-local rows along each stored curve.
        first_row, size: (R,) int64 where each region's rows start, and how many they are.
        region_id: (R,) int64 id in the source.
        label: (R,) int64, -1 = unlabelled.
        pixel_label: (N,) int64, -1 = unlabelled; None where labels are those of regions.
        dates: (T,) int64 days since 1970-01-01.
        classes: by label.
        bands: ids in the order of the band axis.
        scale, offset: reflectance = DN * scale + offset.
        unclear_bits: bits of `qa` that count as unclear.
        resolution_m: pixel size.
        device: where the tensors lie.
        resident: False where `pixels` and `qa` are mapped from disk.
    """

    pixels: tuple[Tensor, ...]
    qa: tuple[Tensor, ...]
    yx: Tensor
    curves: Mapping[str, Tensor]
    first_row: Tensor
    size: Tensor
    region_id: Tensor
    label: Tensor
    pixel_label: Tensor | None
    dates: Tensor
    classes: tuple[LabelClass, ...]
    bands: tuple[str, ...]
    scale: float
    offset: float
    unclear_bits: int
    resolution_m: int
    device: torch.device
    resident: bool

    def __len__(self) -> int:
        return len(self.first_row)

    @cached_property
    def centre(self) -> Tensor:
        """(R, 2) float32 mean row and column of each region."""
        region = torch.repeat_interleave(torch.arange(len(self), device=self.device), self.size)
        total = torch.zeros(len(self), 2, dtype=torch.float64, device=self.device)
        total.index_add_(0, region, self.yx.double())
        return (total / self.size[:, None]).float()

    @cached_property
    def clear_share(self) -> Tensor:
        """(R, T) float16 share of each region's pixels that are clear on each date; read once."""
        region = torch.repeat_interleave(torch.arange(len(self), device=self.device), self.size)
        total = torch.zeros(len(self), len(self.dates), device=self.device)
        start = 0
        for qa in self.qa:
            for first in range(0, len(qa), _ROWS):
                clear = (qa[first : first + _ROWS] & self.unclear_bits) == 0
                total.index_add_(0, region[start : start + len(clear)], clear.float())
                start += len(clear)
        return (total / self.size[:, None]).half()

    @cached_property
    def neighbours(self) -> Near:
        """Which of the 8 pixels around each are of its region; found when a walk first asks."""
        return self.near()

    def near(self, *, connectivity: Literal[4, 8] = 8, sigma: float | None = None) -> Near:
        """Who borders whom within each region.

        Args:
            connectivity: 4 counts sides only, 8 corners too.
            sigma: of `sits_data.orders.spectral`, in squared reflectance; None weighs all alike.
        """
        region = np.repeat(np.arange(len(self)), self.size.cpu().numpy())
        near = neighbours(self.yx.cpu().numpy(), region, connectivity=connectivity)
        if sigma is not None:
            near = spectral(near, self.spectra.cpu().numpy(), sigma)
        rows, degree = (torch.from_numpy(part).to(self.device) for part in near[:2])
        bounds = None if near.bounds is None else torch.from_numpy(near.bounds).to(self.device)
        return Near(rows, degree, bounds)

    @cached_property
    def spectra(self) -> Tensor:
        """(N, C) float32 median reflectance of each pixel on its clear dates; 0 without any."""
        found = []
        for digits, qa in zip(self.pixels, self.qa, strict=True):
            for first in range(0, len(qa), _ROWS):
                dn = digits[first : first + _ROWS].int() & 0xFFFF
                clear = (qa[first : first + _ROWS] & self.unclear_bits) == 0
                seen = clear[..., None] & (dn != 0).all(2, keepdim=True)
                values = (dn * self.scale + self.offset).where(seen, torch.nan)
                found.append(values.nanmedian(1).values.nan_to_num())
        return torch.cat(found)

    def observations(self, rows: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Digital numbers and quality of some pixels on some dates.

        Args:
            rows: (B, L) int64 rows of the table.
            times: (B, T) int64 positions along `dates`.

        Returns:
            (B, L, T, C) int16 bits of DN and (B, L, T) uint8.
        """
        shape = (*rows.shape, times.shape[1])
        digits, quality = self.pixels[0].new_empty(*shape, len(self.bands)), self.qa[0].new_empty(shape)
        shard_of = torch.searchsorted(self._ends, rows, right=True)
        for shard, (pixels, qa) in enumerate(zip(self.pixels, self.qa, strict=True)):
            where = slice(None) if len(self.pixels) == 1 else shard_of == shard
            local = rows[where] - (int(self._ends[shard]) - len(pixels))
            chosen = times[:, None].expand(shape)[where]
            flat = local[..., None] * pixels.shape[1] + chosen
            digits[where] = pixels.flatten(0, 1)[flat]
            quality[where] = qa.flatten()[flat]
        return digits, quality

    def affine(self, normalisation: Normalisation | None, device: torch.device) -> tuple[Tensor, Tensor]:
        """Gain and bias of digital numbers, (C,) float32 each; reflectance without a normalisation."""
        if normalisation is None:
            bands = len(self.bands)
            return torch.full((bands,), self.scale, device=device), torch.full(
                (bands,), self.offset, device=device
            )
        gain, bias = normalisation.affine(self.scale, self.offset)
        return torch.from_numpy(gain).to(device), torch.from_numpy(bias).to(device)

    @cached_property
    def _ends(self) -> Tensor:
        return torch.tensor([len(shard) for shard in self.pixels], device=self.device).cumsum(0)


def open_table(
    store: PlanarStore | str | Path,
    *,
    device: torch.device | str = "cpu",
    resident: Resident = "auto",
) -> PixelTable:
    """The pixels of a store.

    Args:
        store: open, or its path.
        device: that trains.
        resident: "always" copies all pixels there, "never" leaves them on disk, mapped; "auto" copies
            if they take at most half of the device's free memory, and logs which.

    Raises:
        NotAStore, DamagedStore: the path holds no store of this version, or not all of it.
    """
    store = store if isinstance(store, PlanarStore) else open_store(store)
    device = torch.device(device)
    _check_curves(store)
    copied = _fits(store, device) if resident == "auto" else resident == "always"
    place = device if copied else torch.device("cpu")
    manifest = store.manifest
    label = manifest.label

    def shards(kind: str) -> list[NDArray[Any]]:
        return [store.shard(kind, shard) for shard in range(len(manifest.shard_rows))]

    def joined(kind: str) -> Tensor:
        return torch.from_numpy(np.concatenate(shards(kind))).to(place)

    columns = {name: store.regions[name].to_numpy() for name in ("id", "shard", "first_row", "pixels")}
    starts = np.cumsum([0, *manifest.shard_rows])[columns["shard"]]
    per_pixel = label is not None and label.per_pixel
    return PixelTable(
        pixels=tuple(_tensor(one.view(np.int16), place, copy=copied) for one in shards("pixels")),
        qa=tuple(_tensor(one, place, copy=copied) for one in shards("qa")),
        yx=joined("yx"),
        curves={name: joined(f"orders/{name}") for name in manifest.orders},
        first_row=_int64(columns["first_row"] + starts, place),
        size=_int64(columns["pixels"], place),
        region_id=_int64(columns["id"], place),
        label=_int64(store.labels, place),
        pixel_label=joined(f"label-{label.name}").long() if label and per_pixel else None,
        dates=_int64(store.dates, place),
        classes=manifest.classes,
        bands=manifest.bands,
        scale=manifest.scale,
        offset=manifest.offset,
        unclear_bits=manifest.unclear_bits,
        resolution_m=manifest.grid.resolution_m,
        device=place,
        resident=copied,
    )


def table_of_arrays(
    pixels: NDArray[np.uint16],
    qa: NDArray[np.uint8],
    yx: NDArray[np.int32],
    first_row: NDArray[np.int64],
    *,
    dates: NDArray[np.int32],
    bands: tuple[str, ...],
    scale: float,
    offset: float,
    unclear_bits: int,
    resolution_m: int,
    curves: Mapping[str, NDArray[np.int32]],
    device: torch.device | str = "cpu",
) -> PixelTable:
    """A table of pixels in memory, unlabelled, such as the chips of a cube that is being mapped.

    Args:
        pixels: (N, T, C) DN.
        qa: (N, T) bits.
        yx: (N, 2) row and column, region after region.
        first_row: (R,) where each region starts, ascending from 0.
        dates: (T,) days since 1970-01-01.
        bands: ids in the order of the band axis.
        scale: with `offset`: reflectance = DN * scale + offset.
        offset: see `scale`.
        unclear_bits: bits of `qa` that count as unclear.
        resolution_m: pixel size.
        curves: (N,) region-local rows along each curve.
        device: where the tensors are wanted.
    """
    place = torch.device(device)
    return PixelTable(
        pixels=(_tensor(pixels.view(np.int16), place, copy=False),),
        qa=(_tensor(qa, place, copy=False),),
        yx=torch.from_numpy(yx).to(place),
        curves={name: torch.from_numpy(curve).to(place) for name, curve in curves.items()},
        first_row=_int64(first_row, place),
        size=_int64(np.diff(first_row, append=len(pixels)), place),
        region_id=torch.arange(len(first_row), device=place),
        label=torch.full((len(first_row),), -1, device=place),
        pixel_label=None,
        dates=_int64(dates, place),
        classes=(),
        bands=bands,
        scale=scale,
        offset=offset,
        unclear_bits=unclear_bits,
        resolution_m=resolution_m,
        device=place,
        resident=True,
    )


def say_padded(table: PixelTable, length: int) -> None:
    """Log how many regions are smaller than a view of so many positions along a curve, if any is."""
    small = int((table.size < length).sum())
    if small:
        text = "%d of %d regions have fewer than %d pixels and are padded"
        _log.info(text, small, len(table), length)


def curve_windows(
    table: PixelTable, regions: Tensor, curve: str, *, length: int, shift: int = 0
) -> tuple[Tensor, Tensor]:
    """Whole regions along a curve, cut into windows.

    Args:
        table: the pixels.
        regions: (B,) int64 positions.
        curve: name of a stored one.
        length: positions of a window, L.
        shift: positions by which the first window starts before the curve, 0 … length-1.

    Returns:
        Index (W, L) int64 of region-local rows, -1 where a window sticks out, and (W,) int64: which
        of `regions` each window shows. Windows of a region follow each other.
    """
    regions = regions.to(table.device)
    size = table.size[regions]
    windows = (size + shift + length - 1) // length
    owner = torch.repeat_interleave(torch.arange(len(regions), device=table.device), windows)
    number = torch.arange(len(owner), device=table.device) - (windows.cumsum(0) - windows)[owner]
    position = (number * length - shift)[:, None] + torch.arange(length, device=table.device)
    inside = (position >= 0) & (position < size[owner, None])
    rows = table.first_row[regions[owner], None] + torch.where(inside, position, 0)
    return torch.where(inside, table.curves[curve][rows].long(), -1), owner


def _check_curves(store: PlanarStore) -> None:
    """A damaged curve must not lead out of its region: an index is not checked again later."""
    shard_of, pixels = (store.regions[name].to_numpy() for name in ("shard", "pixels"))
    for name in store.manifest.orders:
        for shard in range(len(store.manifest.shard_rows)):
            sizes = pixels[shard_of == shard]
            curve = store.shard(f"orders/{name}", shard)
            if (curve < 0).any() or (curve >= np.repeat(sizes, sizes)).any():
                raise DamagedStore(
                    f"{store.path}: a curve {name} leads out of its region; make the store again with "
                    "sits-data planarize --overwrite, or copy it again"
                )


def _fits(store: PlanarStore, device: torch.device) -> bool:
    manifest = store.manifest
    needed = manifest.pixels * manifest.dates * (2 * len(manifest.bands) + 1)
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available
    fits = needed <= free / 2
    _log.info(
        "%s: %.2f GB of pixels %s (%.1f GB free on %s)",
        store.path,
        needed / 1e9,
        "copied to the training device" if fits else "stay on disk, mapped",
        free / 1e9,
        device,
    )
    return fits


def _int64(values: NDArray[np.integer[Any]], device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)


def _tensor(values: NDArray[Any], device: torch.device, *, copy: bool) -> Tensor:
    if copy and device.type == "cpu":
        return torch.from_numpy(values.copy())
    with warnings.catch_warnings():  # a read-only map: nobody writes to it
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(values).to(device)
