"""What ESA and Earth Search made of a pass: baselines, radiometric states, reprocessed duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from sits_data.bands import DN_SHIFT
from sits_data.simulate.orbits import Pass
from sits_data.simulate.settings import Settings

BASELINES: tuple[tuple[date, str], ...] = (
    (date(2017, 1, 1), "02.05"), (date(2017, 10, 23), "02.06"), (date(2018, 10, 8), "02.09"),
    (date(2019, 5, 6), "02.12"), (date(2019, 7, 8), "02.13"), (date(2020, 2, 4), "02.14"),
    (date(2021, 3, 30), "03.00"), (date(2021, 6, 30), "03.01"), (date(2022, 1, 25), "04.00"),
    (date(2022, 12, 6), "05.09"), (date(2023, 12, 13), "05.10"), (date(2024, 7, 23), "05.11"),
)  # fmt: skip
"""First day of each Level-2A processing baseline."""

FIRST_WITH_OFFSET = "04.00"

DATES_PER_DUPLICATE = 24
PASSES_PER_SPLIT = 3

ORIGINAL_NOISE = 0.012
"""Deviation of the reflectance noise that only the replaced original of a duplicate carries."""


@dataclass(frozen=True)
class Product:
    """One processing of a pass: what tells its item's numbers and properties from another's.

    Args:
        baseline: such as `04.00`.
        offset_applied: whether Earth Search took the offset away.
        generated: when it was made, UTC.
        station: where.
        sequence: counts the products of a pass: originals first, then reprocessed ones.
        extra_noise: deviation of additional reflectance noise.
        flag_wrong: the flag denies that the offset was taken away.
        strip: 0 or 1 for the northern or southern half of a pass in two datastrips, None for a whole.
    """

    baseline: str
    offset_applied: bool
    generated: datetime
    station: str
    sequence: int = 0
    extra_noise: float = 0.0
    flag_wrong: bool = False
    strip: int | None = None

    @property
    def flag(self) -> bool:
        """What `earthsearch:boa_offset_applied` says."""
        return self.offset_applied and not self.flag_wrong

    @property
    def has_offset(self) -> bool:
        """Whether ESA added 1000 to the numbers of this baseline."""
        return self.baseline >= FIRST_WITH_OFFSET

    @property
    def shift_dn(self) -> int:
        """What its numbers hold on top of 10000 times reflectance: 0 or 1000."""
        return DN_SHIFT if self.has_offset and not self.offset_applied else 0


def products(
    settings: Settings, flown: Sequence[Pass], clear_order: Sequence[int]
) -> list[list[Product]]:
    """The products of each pass: one, or two where it was reprocessed; twice that in two datastrips.

    From baseline 04.00 on, Earth Search has taken the offset away from every other product, and with
    `wrong_flags` says so of every other one only. The duplicates fall on the clearest days, before
    and after that baseline in turns; with `split_strips` the clearest pass and every third one after
    it come in two datastrips.

    Args:
        settings: of the catalogue.
        flown: the passes.
        clear_order: positions in `flown`, the clearest first.
    """
    rng = settings.rng("products")
    plain = [_original(rng, p) for p in flown]
    modern = [i for i, product in enumerate(plain) if product.has_offset]
    for n, i in enumerate(modern):
        wrong = settings.wrong_flags and n % 4 == 0
        plain[i] = replace(plain[i], offset_applied=n % 2 == 0, flag_wrong=wrong)
    both = [[i for i in clear_order if (i in modern) == era] for era in (False, True)]
    alternating = [i for pair in zip(*both, strict=False) for i in pair] or list(clear_order)
    result = [[product] for product in plain]
    for i in alternating[: max(1, len(flown) // DATES_PER_DUPLICATE)]:
        result[i] = [replace(plain[i], extra_noise=ORIGINAL_NOISE), _reprocessed(rng, plain[i])]
    if settings.split_strips:
        for i in clear_order[::PASSES_PER_SPLIT]:
            result[i] = _in_halves(settings.rng("strips", flown[i].day.toordinal()), result[i])
    return result


def _original(rng: np.random.Generator, flown: Pass) -> Product:
    baseline = [name for first, name in BASELINES if first <= flown.day][-1]
    generated = flown.start.replace(microsecond=0) + timedelta(seconds=int(rng.integers(9000, 18000)))
    station = str(rng.choice(["VGS1", "VGS2", "VGS4", "SGS_", "MPS_", "EPAE"]))
    return Product(baseline, False, generated, station)


def _reprocessed(rng: np.random.Generator, original: Product) -> Product:
    """Made again years later at a higher baseline, and in the other radiometric state."""
    generated = datetime(2025, 2, 3, tzinfo=UTC) + timedelta(seconds=int(rng.integers(0, 5_000_000)))
    newer = "05.11" if original.baseline >= "05.00" else "05.00"
    applied = original.shift_dn > 0
    return Product(newer, applied, generated, "S2RP", sequence=1)


def _in_halves(rng: np.random.Generator, whole: Sequence[Product]) -> list[Product]:
    """Each product as two of half the land; the second half was received, and so made, later."""
    halves = []
    for n, product in enumerate(whole):
        later = product.generated + timedelta(seconds=int(rng.integers(60, 3600)))
        halves += [
            replace(product, strip=0, sequence=2 * n),
            replace(product, strip=1, sequence=2 * n + 1, generated=later),
        ]
    return halves
