"""A planar store as a dataset of planar images, one region a sample."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from sits_data.errors import InvalidRequest
from sits_data.orders import parse_curve
from sits_data.store import open_parts
from sits_models.contract import Batch, Sample, cut_sample
from sits_models.data.curves import USUAL, WALK, Draw
from sits_models.data.fixed import fixed_index, fixed_times
from sits_models.data.forms import chip_batch, curve_batch, walk_batch, whole_index
from sits_models.data.items import Items, items_of
from sits_models.data.normalisation import Normalisation
from sits_models.data.residence import Resident, join_tables
from sits_models.data.stores import shared_classes
from sits_models.data.table import PixelTable
from sits_models.ops.gather import planar_batch
from sits_models.ops.raw import gather_raw

Form = Literal["curve", "walks", "pixel", "chip"]


class PlanarDataset(NonGeoDataset):
    """Regions of a planar store, merged or not, in one of the forms that models take.

    Args:
        root: the store.
        form: "curve" gives whole regions along a curve (C, T, L), "walks" bags of random walks
            (K, C, T, L), "pixel" one pixel a sample (C, T, 1), "chip" regions as they lie on the ground
            (T, C, H, W).
        order: name of a curve, see `sits_data.orders.names`; by default the store's first, of walks
            "walk".
        normalisation: of the values; None gives reflectance.
        fixed: dates and positions (T, L) that every sample shall have, so that stock tasks for images
            take them; None keeps all dates and pixels of a region. See `sits_models.data.fixed`.
        walks: of a bag.
        length: pixels of a walk.
        seed: of walks; they are the same each time, unless `epoch` changes.
        resident: whether pixels are copied to memory, see `open_table`.

    Raises:
        NotAStore, DamagedStore: the path holds no store of this version, or not all of it.
        InvalidRequest: there is no such curve, it does not fit the form, or a number is below 1.
    """

    epoch = -1
    """Of walks, part of their key: a training loop may count it up."""

    def __init__(
        self,
        root: str | Path,
        *,
        form: Form = "curve",
        order: str | None = None,
        normalisation: Normalisation | None = None,
        fixed: tuple[int, int] | None = None,
        walks: int = 4,
        length: int = 50,
        seed: int = 0,
        resident: Resident = "never",
    ) -> None:
        self.stores = open_parts(root)
        self.bands = self.stores[0].manifest.bands
        self.classes = [one.name for one in shared_classes(self.stores)[0]]
        stored = self.stores[0].manifest.orders
        usual = WALK if form == "walks" else next(iter(stored), USUAL)
        self.form, self.order = form, order or usual
        self.normalisation, self.fixed, self.resident = normalisation, fixed, resident
        self.walks, self.length, self.seed = walks, length, seed
        self._check()

    def __len__(self) -> int:
        """Number of samples: regions, or pixels."""
        return len(self._items)

    def __getstate__(self) -> dict[str, object]:
        """A worker process opens the files anew instead of getting their contents."""
        cached = ("table", "_extents", "_items", "_fixed_index", "_fixed_times")
        return {name: value for name, value in vars(self).items() if name not in cached}

    @cached_property
    def table(self) -> PixelTable:
        """The pixels of the store."""
        return join_tables(self.stores, resident=self.resident)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """Some samples at once: the fast path.

        Args:
            indices: of samples.

        Returns:
            Without a fixed shape, padded to the largest.
        """
        numbers = torch.as_tensor(indices, dtype=torch.int64)
        if len(numbers) and not (-len(self) <= int(numbers.min()) and int(numbers.max()) < len(self)):
            raise IndexError(f"the dataset has samples 0 to {len(self) - 1}, got {indices}")
        items = self._items.chosen((numbers % len(self)).numpy())
        regions, normalisation = torch.from_numpy(items.regions), self.normalisation
        if items.rows is not None:
            return _pixel_batch(self.table, regions, torch.from_numpy(items.rows), normalisation)
        if self.form == "chip":
            return chip_batch(self.table, regions, normalisation=normalisation)
        if self.form == "walks":
            return walk_batch(
                self.table, regions, parse_curve(self.order), walks=self.walks, length=self.length,
                draw=Draw(self.seed, self.epoch, 0), normalisation=normalisation,
            )  # fmt: skip
        if self.fixed is None:
            return curve_batch(self.table, regions, self.order, normalisation=normalisation)
        index, times = self._fixed_index[regions], self._fixed_times[regions]
        return planar_batch(self.table, regions, index, times=times, normalisation=normalisation)

    def raw(
        self, indices: Sequence[int] | Tensor, out: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]:
        """Digital numbers of some regions along the curve, as they lie on disk: nothing is decoded.

        Args:
            indices: of samples, of the form "curve".
            out: (B, L, T, C) uint16 to write to; None makes it.

        Returns:
            (B, L, T, C) uint16, L that of the largest region; 0 = not observed, or padded.

        Raises:
            InvalidRequest: samples have another form, or regions of the store other dates.
        """
        table = self.table
        if self.form != "curve" or len(table.dated) > 1:
            raise InvalidRequest(
                "raw numbers are those of whole regions of one store, got the form "
                f"{self.form} of {len(table.dated)} stores"
            )
        regions = torch.as_tensor(indices, dtype=torch.int64)
        index = whole_index(table, regions, self.order)
        dates, bands = int(table.dated[0]), len(table.bands)
        if out is None:
            out = np.empty((*index.shape, dates, bands), np.uint16)
        for shard, which in table.by_shard(regions):
            pixels = table.pixels[shard].numpy().view(np.uint16).reshape(-1, dates, bands)
            start = int(table.shard_ends[shard]) - len(table.qa[shard])
            first = ((table.first_cell[regions] - start) // dates)[:, None]
            rows = torch.where(index < 0, -1, first + index)[which].flatten().numpy()
            if len(which) == len(out):
                gather_raw(pixels, rows, out.reshape(-1, dates, bands))
            else:
                out[which.numpy()] = gather_raw(pixels, rows).reshape(-1, *out.shape[1:])
        return out

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        """One sample; see `Sample` for shapes, types and units."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Some samples at once; torch's loaders ask for a whole batch this way."""
        batch = self.batch(indices)
        numbers = torch.as_tensor(indices, dtype=torch.int64) % len(self)
        regions = self._items.regions[numbers.numpy()].tolist()
        whole = self.fixed is not None
        return [
            cut_sample(batch, number, None if whole else self._extents[region])
            for number, region in enumerate(regions)
        ]

    def plot(self, sample: Sample, *, band: str | None = None) -> Figure:
        """Draw one band of a sample; unclear observations are left white.

        A bag shows its first walk, a chip its clearest date.

        Args:
            sample: one of this dataset's.
            band: its id; by default `B08`, or the first where there is none.
        """
        if band is None:
            band = "B08" if "B08" in self.bands else self.bands[0]
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        days = sample["dates"].numpy().astype("datetime64[D]")
        image, clear = sample["image"], sample["clear"]
        if image.ndim == 4 and "index" not in sample:
            best = int(clear.flatten(1).sum(1).argmax())
            values = torch.where(clear[best], image[best, self.bands.index(band)], torch.nan)
            axes.set(xlabel="column", ylabel="row", title=str(days[best]))
            shown = axes.imshow(values.numpy(), interpolation="nearest")
        else:
            image, clear = (image[0], clear[0]) if image.ndim == 4 else (image, clear)
            values = torch.where(clear, image[self.bands.index(band)], torch.nan)
            shown = axes.imshow(values.numpy(), aspect="auto", interpolation="nearest")
            axes.set(xlabel="position along the curve", ylabel="date")
            ticks = np.linspace(0, len(days) - 1, min(len(days), 6)).astype(int)
            axes.set_yticks(ticks, [str(days[tick]) for tick in ticks])
        what = "reflectance" if self.normalisation is None else "normalised reflectance"
        figure.colorbar(shown, label=f"{what} {band}")
        return figure

    def _check(self) -> None:
        if self.form not in get_args(Form):
            raise InvalidRequest(f"form must be one of {', '.join(get_args(Form))}, got {self.form}")
        walks = parse_curve(self.order).kind == WALK
        if walks != (self.form == "walks") or (not walks and parse_curve(self.order).drawn):
            raise InvalidRequest(
                f"samples of the form {self.form} cannot be along {self.order}: curves that come to "
                "every pixel once go with curve, walks with walks"
            )
        if min(self.walks, self.length) < 1:
            raise InvalidRequest(
                f"a bag needs at least 1 walk of 1 pixel, got {self.walks} of {self.length}"
            )
        if self.fixed is not None and (min(self.fixed) < 1 or self.form != "curve"):
            raise InvalidRequest(
                "a fixed shape needs at least 1 date and 1 position, of the form curve, got "
                f"{self.fixed} of {self.form}"
            )

    @cached_property
    def _extents(self) -> list[dict[str, int]]:
        """Dates, positions, rows and columns of each region's own sample, where they may be padded."""
        table = self.table
        columns = {"t": table.dated[table.calendar]}
        if self.form == "curve":
            columns["l"] = table.size
        elif self.form == "chip":
            columns["h"], columns["w"] = table.boxes[1].unbind(1)
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    @cached_property
    def _items(self) -> Items:
        regions = np.arange(sum(map(len, self.stores)))
        return items_of(self.table, regions, unit="pixel") if self.form == "pixel" else Items(regions)

    @cached_property
    def _fixed_index(self) -> Tensor:
        assert self.fixed is not None
        return fixed_index(self.table, self.order, self.fixed[1])

    @cached_property
    def _fixed_times(self) -> Tensor:
        assert self.fixed is not None
        return fixed_times(self.table, self.fixed[0])


def _pixel_batch(
    table: PixelTable, regions: Tensor, rows: Tensor, normalisation: Normalisation | None
) -> Batch:
    batch = planar_batch(table, regions, rows[:, None], normalisation=normalisation)
    if "mask" in batch:
        batch["label"] = batch["mask"][:, 0]
    return batch


class TensorSummary(NamedTuple):
    """What a tensor looks like: shape, type, least and greatest value."""

    shape: tuple[int, ...]
    dtype: str
    min: float
    max: float


def describe_sample(sample: Sample) -> dict[str, TensorSummary]:
    """A summary of each tensor of a sample, by its key."""
    return {
        key: TensorSummary(
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            min=tensor.min().item(),
            max=tensor.max().item(),
        )
        for key, tensor in sample.items()
        if isinstance(tensor, Tensor)
    }
