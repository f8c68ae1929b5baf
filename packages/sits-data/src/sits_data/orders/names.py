"""Names of curves: a word, or a word and options after a colon.

- ``hilbert``, ``snake``, ``spiral``, ``raster``, ``hilbert2k``: each pixel once; ``hilbert:3`` is one of
  the eight dihedral variants, ``hilbert:*`` any of them
- ``walk``: a random walk; ``walk:4`` steps to 4 neighbours, ``walk:onward`` never straight back,
  ``walk:iid`` starts anywhere, ``walk:sigma=0.01`` prefers neighbours of a like spectrum, and
  ``walk:4,onward`` is both
- ``random``: pixels in no order, the control
- ``x``, ``y``, ``line:1,2``: the row, the column, or the line that goes so many pixels down and right,
  through a random pixel
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, cast

from sits_data.errors import InvalidRequest
from sits_data.orders.curves import DIHEDRALS, ORDERS
from sits_data.orders.lines import Direction
from sits_data.orders.walks import Starts, WalkLaw


@dataclass(frozen=True)
class CurveName:
    """A name, taken apart.

    Args:
        kind: of an order, "walk", "random" or "line".
        dihedral: of an order, 0 … 7; None is any of them.
        law: of a walk.
        connectivity: of a walk.
        sigma: of a walk's weights, in squared reflectance; None weighs all neighbours alike.
        direction: of a line.
    """

    kind: str
    dihedral: int | None = 0
    law: WalkLaw = field(default_factory=WalkLaw)
    connectivity: Literal[4, 8] = 8
    sigma: float | None = None
    direction: Direction = "x"

    @property
    def drawn(self) -> bool:
        """Whether the curve is another one each time: a walk, a line, or any variant."""
        return self.kind not in ORDERS or self.dihedral is None


@lru_cache(maxsize=256)
def parse_curve(name: str) -> CurveName:
    """What a name means.

    Raises:
        InvalidRequest: nothing; the message says which names there are.
    """
    kind, colon, options = name.partition(":")
    match kind, options:
        case "walk", _:
            return _parse_walk(name, options.split(",") if colon else [])
        case (("x" | "y"), "") if not colon:
            return CurveName("line", direction=cast(Direction, kind))
        case "random", "" if not colon:
            return CurveName("random")
        case "line", _ if (steps := _steps(options)) is not None:
            return CurveName("line", direction=steps)
        case _, "*" if kind in ORDERS:
            return CurveName(kind, None)
        case _, _ if kind in ORDERS and (not colon or options in map(str, range(DIHEDRALS))):
            return CurveName(kind, int(options or 0))
    raise InvalidRequest(
        f"unknown curve {name!r}; use one of {', '.join(ORDERS)}, each also with :0 to :7 for a "
        "dihedral variant and :* for any, or walk, random, x, y, line:1,2"
    )


def _parse_walk(name: str, options: list[str]) -> CurveName:
    backtrack, starts, connectivity, sigma = True, "stratified", 8, None
    for option in options:
        match option.partition("="):
            case (("4" | "8"), "", ""):
                connectivity = int(option)
            case "onward", "", "":
                backtrack = False
            case (("iid" | "stratified"), "", ""):
                starts = option
            case "sigma", "=", text if _is_positive(text):
                sigma = float(text)
            case _:
                raise InvalidRequest(
                    f"unknown option {option!r} of the curve {name!r}; walks have 4 or 8, onward, iid "
                    "and sigma=NUMBER, with commas"
                )
    law = WalkLaw(backtrack=backtrack, starts=cast(Starts, starts))
    return CurveName("walk", law=law, connectivity=cast(Literal[4, 8], connectivity), sigma=sigma)


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _steps(text: str) -> tuple[int, int] | None:
    try:
        down, right = map(int, text.split(","))
    except ValueError:
        return None
    return (down, right) if down or right else None
