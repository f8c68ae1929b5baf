"""From stores to a table: mapped from disk, or resident on the device that trains."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from sits_data.errors import DamagedStore
from sits_data.store import PlanarStore, open_store
from sits_models.data.stores import shared_classes
from sits_models.data.table import NO_DAY, PixelTable

Resident = Literal["auto", "always", "never"]

_log = logging.getLogger("sits_models")


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
    return join_tables([store], device=device, resident=resident)


def join_tables(
    stores: Sequence[PlanarStore], *, device: torch.device | str = "cpu", resident: Resident = "auto"
) -> PixelTable:
    """The pixels of several stores as one table, each with its own dates.

    Args:
        stores: of the same bands, resolution, curves and mask, such as the parts of a merged store.
        device: that trains.
        resident: see `open_table`.

    Raises:
        DamagedStore: a file is missing or not whole.
    """
    device, first = torch.device(device), stores[0].manifest
    for store in stores:
        _check_curves(store)
    copied = _fits(stores, device) if resident == "auto" else resident == "always"
    place = device if copied else torch.device("cpu")

    def files(kind: str) -> list[NDArray[Any]]:
        return [
            store.shard(kind, shard)
            for store in stores
            for shard in range(len(store.manifest.shard_rows))
        ]

    def joined(kind: str) -> Tensor:
        return torch.from_numpy(np.concatenate(files(kind))).to(place)

    def cells(kind: str, dtype: type[np.generic], *columns: int) -> tuple[Tensor, ...]:
        flat = [_mapped(one.view(dtype).reshape(-1, *columns)) for one in files(kind)]
        return (_copied(flat, place),) if copied else tuple(flat)

    def column(name: str) -> NDArray[np.int64]:
        parts = [np.asarray(store.regions[name].to_numpy(), np.int64) for store in stores]
        return np.concatenate(parts)

    calendar = np.repeat(np.arange(len(stores)), [len(store) for store in stores])
    dated = np.array([len(store.dates) for store in stores])
    first_shard = np.cumsum([0, *(len(store.manifest.shard_rows) for store in stores)])[:-1]
    rows = np.array([rows for store in stores for rows in store.manifest.shard_rows])
    dates_of_shard = np.repeat(dated, [len(store.manifest.shard_rows) for store in stores])
    shard, inside = column("shard") + first_shard[calendar], column("first_row")
    first_row = np.cumsum(rows)[shard] - rows[shard] + inside
    held = rows * dates_of_shard
    first_cell = np.cumsum(held)[shard] - held[shard] + inside * dated[calendar]
    classes, labels = shared_classes(stores)
    per_pixel = first.label is not None and first.label.per_pixel
    return PixelTable(
        pixels=cells("pixels", np.int16, len(first.bands)),
        qa=cells("qa", np.uint8),
        yx=joined("yx"),
        curves={name: joined(f"orders/{name}") for name in first.orders},
        first_row=_int64(first_row, place),
        size=_int64(column("pixels"), place),
        first_cell=_int64(first_cell, place),
        calendar=_int64(calendar, place),
        region_id=_int64(column("id") if len(stores) == 1 else np.arange(len(shard)), place),
        label=_int64(np.concatenate(labels), place),
        pixel_label=_pixel_labels(stores).to(place) if per_pixel else None,
        dates=_int64(_calendars(stores, int(dated.max())), place),
        dated=_int64(dated, place),
        classes=classes,
        bands=first.bands,
        scale=first.scale,
        offset=first.offset,
        unclear_bits=first.unclear_bits,
        resolution_m=first.grid.resolution_m,
        device=place,
        resident=copied,
    )


def _calendars(stores: Sequence[PlanarStore], longest: int) -> NDArray[np.int64]:
    days = np.full((len(stores), longest), NO_DAY)
    for number, store in enumerate(stores):
        days[number, : len(store.dates)] = store.dates
    return days


def _pixel_labels(stores: Sequence[PlanarStore]) -> Tensor:
    """(N,) int64 classes of pixels, by the classes that the stores share."""
    classes, _ = shared_classes(stores)
    number = {one.code: label for label, one in enumerate(classes)}
    found = []
    for store in stores:
        label = store.manifest.label
        assert label is not None
        # The last entry serves -1, unlabelled.
        new = np.array([number[one.code] for one in store.manifest.classes] + [-1])
        shards = range(len(store.manifest.shard_rows))
        found += [new[store.shard(f"label-{label.name}", shard)] for shard in shards]
    return torch.from_numpy(np.concatenate(found))


def shards_of(table: PixelTable) -> NDArray[np.int64]:
    """(R,) which file each region's pixels lie in."""
    return np.asarray(torch.searchsorted(table.shard_ends, table.first_cell, right=True).cpu().numpy())


def buffered_shards(table: PixelTable) -> int | None:
    """How many files a quarter of the free memory holds, at least 2; None where pixels are resident."""
    if table.resident:
        return None
    cells = int(table.shard_ends[-1])
    shard_bytes = cells * (2 * len(table.bands) + 1) / len(table.qa)
    return max(2, int(psutil.virtual_memory().available / 4 / shard_bytes))


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
        pixels=(_mapped(pixels.view(np.int16).reshape(-1, len(bands))).to(place),),
        qa=(_mapped(qa.reshape(-1)).to(place),),
        yx=torch.from_numpy(yx).to(place),
        curves={name: torch.from_numpy(curve).to(place) for name, curve in curves.items()},
        first_row=_int64(first_row, place),
        size=_int64(np.diff(first_row, append=len(pixels)), place),
        first_cell=_int64(first_row * len(dates), place),
        calendar=torch.zeros(len(first_row), dtype=torch.int64, device=place),
        region_id=torch.arange(len(first_row), device=place),
        label=torch.full((len(first_row),), -1, device=place),
        pixel_label=None,
        dates=_int64(dates[None], place),
        dated=torch.tensor([len(dates)], device=place),
        classes=(),
        bands=bands,
        scale=scale,
        offset=offset,
        unclear_bits=unclear_bits,
        resolution_m=resolution_m,
        device=place,
        resident=True,
    )


def _check_curves(store: PlanarStore) -> None:
    """A damaged curve must not lead out of its region: an index is not checked again later."""
    shard_of, pixels = (store.regions[name].to_numpy() for name in ("shard", "pixels"))
    for name in store.manifest.orders:
        for shard in range(len(store.manifest.shard_rows)):
            sizes = pixels[shard_of == shard]
            curve = store.shard(f"orders/{name}", shard)
            again = "make the store again with sits-data planarize --overwrite, or copy it again"
            if (curve < 0).any() or (curve >= np.repeat(sizes, sizes)).any():
                raise DamagedStore(f"{store.path}: a curve {name} leads out of its region; {again}")
            first = np.repeat(np.cumsum(sizes) - sizes, sizes)
            if (np.bincount(first + curve, minlength=len(curve)) != 1).any():
                raise DamagedStore(
                    f"{store.path}: a curve {name} does not come to every pixel once; {again}"
                )


def _fits(stores: Sequence[PlanarStore], device: torch.device) -> bool:
    manifests = [store.manifest for store in stores]
    needed = sum(one.pixels * one.dates * (2 * len(one.bands) + 1) for one in manifests)
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available
    fits = needed <= free / 2
    _log.info(
        "%s%s: %.2f GB of pixels %s (%.1f GB free on %s)",
        stores[0].path,
        f" and {len(stores) - 1} more" if len(stores) > 1 else "",
        needed / 1e9,
        "copied to the training device" if fits else "stay on disk, mapped",
        free / 1e9,
        device,
    )
    return fits


def _int64(values: NDArray[np.integer[Any]], device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)


def _mapped(values: NDArray[Any]) -> Tensor:
    with warnings.catch_warnings():  # a read-only map: nobody writes to it
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(values)


def _copied(shards: Sequence[Tensor], device: torch.device) -> Tensor:
    """One after another, so that nothing is in the host's memory twice."""
    rows = sum(map(len, shards))
    whole = torch.empty(rows, *shards[0].shape[1:], dtype=shards[0].dtype, device=device)
    start = 0
    for shard in shards:
        whole[start : start + len(shard)].copy_(shard)
        start += len(shard)
    return whole
