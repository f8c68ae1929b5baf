"""What numbers a setting may be, and one way to say so."""

from collections.abc import Mapping
from math import inf
from typing import Any, Final, NamedTuple

from sits_data.errors import InvalidRequest


class Range(NamedTuple):
    """Numbers between two ends, both of which belong to it unless said otherwise.

    Args:
        least: the lower end.
        most: the upper end.
        open: whether the lower end does not belong to it.
    """

    least: float
    most: float = inf
    open: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is one of them; NaN never is."""
        return (self.least < value if self.open else self.least <= value) and value <= self.most

    def __str__(self) -> str:
        if self.most == inf:
            return f"{'above' if self.open else 'at least'} {self.least:g}"
        if self.open:
            return f"above {self.least:g} and at most {self.most:.10g}"
        return f"from {self.least:g} to {self.most:.10g}"


COUNT: Final = Range(1)
POSITIVE: Final = Range(0, open=True)
NOT_NEGATIVE: Final = Range(0)
SHARE: Final = Range(0, 1)
SEED: Final = Range(0, 2**32 - 1)


def check_ranges(settings: Mapping[str, Any], ranges: Mapping[str, Range]) -> None:
    """Stop at the first setting that is out of its range; None is in every range.

    Args:
        settings: by name; others than those of `ranges` do not matter.
        ranges: by name.

    Raises:
        InvalidRequest: names the setting and what it may be.
    """
    for name, allowed in ranges.items():
        value = settings[name]
        if value is not None and not allowed.holds(value):
            raise InvalidRequest(f"{name} must be {allowed}, got {value}")
