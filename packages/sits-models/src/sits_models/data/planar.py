"""A planar store as a dataset of planar images, one region a sample."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from sits_data.errors import InvalidRequest
from sits_data.store import open_store
from sits_models.contract import Sample


class PlanarDataset(NonGeoDataset):
    """Regions of a planar store along one of its curves; pixels stay on disk until asked for.

    Args:
        root: the store.
        order: name of a stored curve; by default the store's first.

    Raises:
        NotAStore, DamagedStore: the path holds no store of this version, or not all of it.
        InvalidRequest: the store has no such curve.
    """

    def __init__(self, root: str | Path, *, order: str | None = None) -> None:
        self.store = open_store(root)
        orders = self.store.manifest.orders
        if not orders or (order is not None and order not in orders):
            raise InvalidRequest(
                f"the store {root} has the orders {', '.join(orders) or 'none'}, asked for "
                f"{order or 'its first'}; planarize it again with --orders {order or 'hilbert'}"
            )
        self.order = order or orders[0]
        self.classes = [one.name for one in self.store.manifest.classes]

    def __len__(self) -> int:
        """Number of regions."""
        return len(self.store)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        """The planar image of a region; see `Sample` for shapes, types and units."""
        store, manifest = self.store, self.store.manifest
        region, curve = store.region(index), store.order(index, self.order)
        dn = region.pixels[curve]
        image = np.where(
            dn == 0, np.float32(0), dn * np.float32(manifest.scale) + np.float32(manifest.offset)
        )
        seen = (dn != 0).all(-1)
        clear = store.clear(index)[curve] & seen
        yx = (region.yx - region.yx.mean(0))[curve] * manifest.grid.resolution_m
        sample = Sample(
            image=torch.from_numpy(np.ascontiguousarray(image.transpose(2, 1, 0))),
            dates=torch.from_numpy(store.dates.astype(np.int64)),
            clear=torch.from_numpy(np.ascontiguousarray(clear.T)),
            index=torch.from_numpy(curve.astype(np.int64)),
            yx=torch.from_numpy(yx.astype(np.float32)),
            region=torch.tensor(region.id),
        )
        if manifest.label is not None:
            sample["label"] = torch.tensor(region.label)
        if region.labels is not None:
            sample["mask"] = torch.from_numpy(region.labels[curve].astype(np.int64))
        return sample

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
        figure.colorbar(shown, label=f"reflectance {band}")
        return figure


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
