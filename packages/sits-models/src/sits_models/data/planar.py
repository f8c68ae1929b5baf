"""A planar store as a dataset of planar images, one region a sample."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from sits_data.errors import InvalidRequest
from sits_data.store import open_store
from sits_models.contract import Batch, Sample
from sits_models.data.fixed import fixed_index, fixed_times
from sits_models.data.normalisation import Normalisation
from sits_models.data.residence import Resident, open_table
from sits_models.data.table import PixelTable
from sits_models.ops.gather import planar_batch

_NOT_IN_A_SAMPLE = ("pad_mask", "length")


class PlanarDataset(NonGeoDataset):
    """Regions of a planar store along one of its curves.

    Args:
        root: the store.
        order: name of a stored curve; by default the store's first.
        normalisation: of the values; None gives reflectance.
        fixed: dates and positions (T, L) that every sample shall have, so that stock tasks for images
            take them; None keeps all dates and pixels of a region. See `sits_models.data.fixed`.
        resident: whether pixels are copied to memory, see `open_table`.

    Raises:
        NotAStore, DamagedStore: the path holds no store of this version, or not all of it.
        InvalidRequest: the store has no such curve, or a fixed size is below 1.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        order: str | None = None,
        normalisation: Normalisation | None = None,
        fixed: tuple[int, int] | None = None,
        resident: Resident = "never",
    ) -> None:
        self.store = open_store(root)
        orders = self.store.manifest.orders
        if not orders or (order is not None and order not in orders):
            raise InvalidRequest(
                f"the store {root} has the orders {', '.join(orders) or 'none'}, asked for "
                f"{order or 'its first'}; planarize it again with --orders {order or 'hilbert'}"
            )
        if fixed is not None and min(fixed) < 1:
            raise InvalidRequest(f"a fixed shape needs at least 1 date and 1 position, got {fixed}")
        self.order = order or orders[0]
        self.classes = [one.name for one in self.store.manifest.classes]
        self.normalisation, self.fixed, self.resident = normalisation, fixed, resident

    def __len__(self) -> int:
        """Number of regions."""
        return len(self.store)

    def __getstate__(self) -> dict[str, object]:
        """A worker process opens the files anew instead of getting their contents."""
        cached = ("table", "_fixed_index", "_fixed_times")
        return {name: value for name, value in vars(self).items() if name not in cached}

    @cached_property
    def table(self) -> PixelTable:
        """The pixels of the store."""
        return open_table(self.store, resident=self.resident)

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """The planar images of some regions at once: the fast path.

        Args:
            indices: positions of regions.

        Returns:
            Without a fixed shape, padded to the largest region.
        """
        regions = torch.as_tensor(indices, dtype=torch.int64)
        if len(regions) and not (-len(self) <= int(regions.min()) and int(regions.max()) < len(self)):
            raise IndexError(f"the store has regions 0 to {len(self) - 1}, got {indices}")
        regions = regions % len(self)
        if self.fixed is not None:
            index, times = self._fixed_index[regions], self._fixed_times[regions]
        else:
            index, times = self._whole(regions), None
        return planar_batch(self.table, regions, index, times=times, normalisation=self.normalisation)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        """The planar image of a region; see `Sample` for shapes, types and units."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Some samples at once; torch's loaders ask for a whole batch this way."""
        batch = cast(dict[str, Tensor], self.batch(indices))
        keys = [key for key in batch if key not in _NOT_IN_A_SAMPLE]
        sizes = self.table.size[torch.as_tensor(indices)].tolist()
        samples = []
        for number, size in enumerate(sizes):
            sample = {key: batch[key][number] for key in keys}
            samples.append(_cropped(sample, size) if self.fixed is None else sample)
        return cast(list[Sample], samples)

    def plot(self, sample: Sample, *, band: str | None = None) -> Figure:
        """Draw the planar image of one band; unclear observations are left white.

        Args:
            sample: one of this dataset's.
            band: its id; by default `B08`, or the first where there is none.
        """
        bands = self.store.manifest.bands
        if band is None:
            band = "B08" if "B08" in bands else bands[0]
        values = torch.where(sample["clear"], sample["image"][bands.index(band)], torch.nan)
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        shown = axes.imshow(values.numpy(), aspect="auto", interpolation="nearest")
        axes.set(xlabel="position along the curve", ylabel="date")
        days = sample["dates"].numpy().astype("datetime64[D]")
        ticks = np.linspace(0, len(days) - 1, min(len(days), 6)).astype(int)
        axes.set_yticks(ticks, [str(days[tick]) for tick in ticks])
        what = "reflectance" if self.normalisation is None else "normalised reflectance"
        figure.colorbar(shown, label=f"{what} {band}")
        return figure

    def _whole(self, regions: Tensor) -> Tensor:
        """All rows of some regions along the curve, padded: (B, L)."""
        size = self.table.size[regions, None]
        position = torch.arange(int(size.max()) if len(regions) else 0)
        rows = self.table.first_row[regions, None] + torch.where(position < size, position, 0)
        return torch.where(position < size, self.table.curves[self.order][rows].long(), -1)

    @cached_property
    def _fixed_index(self) -> Tensor:
        assert self.fixed is not None
        return fixed_index(self.table, self.order, self.fixed[1])

    @cached_property
    def _fixed_times(self) -> Tensor:
        assert self.fixed is not None
        return fixed_times(self.table, self.fixed[0])


def _cropped(sample: dict[str, Tensor], size: int) -> dict[str, Tensor]:
    """Without the positions that pad a sample to its batch."""
    last = {"image", "clear", "index", "mask"} & sample.keys()
    crop = {key: sample[key][..., :size].contiguous() for key in last}
    return sample | crop | {"yx": sample["yx"][:size]}


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
