"""Rows of a bench's table, as `bench.json` keeps them."""

import numpy as np
from pydantic import BaseModel

from sits_models.bench.intervals import Interval


class Span(BaseModel, frozen=True):
    """A figure with its interval; ends are None where there are too few blocks."""

    value: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, one: Interval) -> "Span":
        """As JSON has no NaN; the value must be a number."""
        ends = (None if np.isnan(end) else end for end in (one.low, one.high))
        return cls(value=one.value, low=next(ends), high=next(ends))

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class BenchRow(BaseModel, frozen=True):
    """A model or floor under one budget on one store.

    Args:
        store, entry, reader, budget: which.
        floor: whether models have to beat it.
        seeds: of training and split.
        samples: tested by each seed.
        blocks: of the ground that they lie in, what the bootstrap draws.
        macro_f1, oa, miou: with intervals over blocks; the mean over seeds.
        kappa: None where the store has one class only.
        change_f1: change is every class but the first; None where nothing compares periods.
        ece: expected calibration error; None where the reader gives no probabilities.
        by_seed: macro-F1 of each seed.
        above: macro-F1 minus that of each floor, on the same draws of blocks.
        seconds: of all seeds.
        cells: files.
    """

    store: str
    entry: str
    reader: str
    budget: str
    floor: bool
    seeds: int
    samples: int
    blocks: int
    macro_f1: Span
    oa: Span
    miou: Span
    kappa: Span | None
    change_f1: Span | None
    ece: Span | None
    by_seed: tuple[float, ...]
    above: dict[str, Span]
    seconds: float
    cells: tuple[str, ...]

    @property
    def title(self) -> str:
        """Entry and reader: `simclr, linear`."""
        return ", ".join(filter(None, (self.entry, self.reader)))

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """Floors that it is not above by an interval that excludes 0."""
        return tuple(name for name, apart in self.above.items() if apart.low is None or apart.low <= 0)
