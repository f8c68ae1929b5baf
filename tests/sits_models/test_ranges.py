import math

import pytest

from sits_data.errors import InvalidRequest
from sits_models.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SEED, SHARE, Range, check_ranges


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "words"),
    [
        (COUNT, [1, 7], [0, -1], "at least 1"),
        (POSITIVE, [1e-9, 5], [0, -1, math.nan], "above 0"),
        (NOT_NEGATIVE, [0, 5], [-1e-9, math.nan], "at least 0"),
        (SHARE, [0, 0.5, 1], [-0.1, 1.1, math.nan], "from 0 to 1"),
        (SEED, [0, 2**32 - 1], [-1, 2**32], "from 0 to 4294967295"),
        (Range(0, 1, open=True), [0.1, 1], [0, 1.5], "above 0 and at most 1"),
    ],
)
def test_ends(allowed: Range, inside: list[float], outside: list[float], words: str) -> None:
    assert all(map(allowed.holds, inside))
    assert not any(map(allowed.holds, outside))
    assert str(allowed) == words


def test_the_first_that_is_out_is_named() -> None:
    ranges = {"dates": COUNT, "length": COUNT, "lr": POSITIVE}
    check_ranges({"dates": None, "length": 3, "lr": 0.1, "other": -1}, ranges)
    with pytest.raises(InvalidRequest, match=r"^length must be at least 1, got 0$"):
        check_ranges({"dates": 2, "length": 0, "lr": -1.0}, ranges)
