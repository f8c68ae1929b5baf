"""Batches of regions in the order of a sampler; nothing is read from disk here."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from sits_models.data.items import Items
from sits_models.data.normalisation import Normalisation
from sits_models.data.regions import RegionBatch
from sits_models.data.sampler import StoreYearSampler
from sits_models.data.table import PixelTable


class RegionLoader:
    """An iterable of `RegionBatch` that knows where it is, so that a run can go on within an epoch.

    Not a torch `DataLoader`: a batch is an index list, worker processes would only cost time. Lightning
    takes it as it is, calls `set_epoch` of `sampler`, and keeps `state_dict` in its checkpoints.

    Args:
        sampler: what each batch holds.
        tables: of each store.
        items: of each store, what the sampler's numbers mean.
        normalisation: of the values; None leaves reflectance.
    """

    def __init__(
        self,
        sampler: StoreYearSampler,
        tables: Sequence[PixelTable],
        items: Sequence[Items],
        *,
        normalisation: Normalisation | None,
    ) -> None:
        self.sampler, self.tables, self.items = sampler, tables, items
        self.batch_sampler = None  # Lightning asks for it wherever there is a sampler
        self.normalisation = normalisation
        self._given = self._skip = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[RegionBatch]:
        first, self._skip = self._skip, 0
        for number, key in enumerate(islice(self.sampler, first, None), start=first + 1):
            self._given = number
            items = self.items[key.store]
            yield RegionBatch(
                table=self.tables[key.store],
                regions=torch.from_numpy(items.regions[key.items]),
                window=key.window,
                run=self.sampler.seed,
                epoch=key.epoch,
                normalisation=self.normalisation,
                device=torch.device("cpu"),
                rows=None if items.rows is None else torch.from_numpy(items.rows[key.items]),
                walks=None if items.walks is None else torch.from_numpy(items.walks[key.items]),
                targets=None if items.targets is None else torch.from_numpy(items.targets[key.items]),
            )

    def state_dict(self) -> dict[str, int]:
        """How many batches of the running epoch were given; 0 after the last."""
        return {"given": self._given % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Leave out what was given before, in the next iteration only."""
        self._given = self._skip = state["given"]
