"""Names of masks: a preset, and what it counts more or less than that.

`standard-snow` is `standard` with snow counted as clear; `permissive+cirrus` is `permissive` with
cirrus counted as unclear.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from sits_data.bands import SCL
from sits_data.errors import InvalidRequest
from sits_data.mask.bits import ALWAYS_UNCLEAR, QA, STRICT_SCL

MaskPreset = Literal["standard", "strict", "permissive"]

_UNCLEAR: dict[str, QA] = {
    "standard": ALWAYS_UNCLEAR | QA.CLOUD | QA.SHADOW | QA.CIRRUS | QA.SNOW,
    "strict": ALWAYS_UNCLEAR | QA.CLOUD | QA.SHADOW | QA.CIRRUS | QA.SNOW,
    "permissive": ALWAYS_UNCLEAR | QA.CLOUD | QA.SHADOW,
}
_SWITCHES: dict[str, QA] = {"cirrus": QA.CIRRUS, "snow": QA.SNOW}
_SHAPE = re.compile(r"(?P<preset>[a-z]+)(?P<switches>([+-][a-z]+)*)")


@dataclass(frozen=True)
class Mask:
    """What counts as unclear; two names that mean the same give equal masks.

    Args:
        bits: of `qa`.
        classes: of `scl`, which have no bit of their own.
    """

    bits: int
    classes: tuple[SCL, ...]


def parse_mask(name: str) -> Mask:
    """What the name of a mask means.

    Args:
        name: a preset, then any of `+cirrus`, `-cirrus`, `+snow`, `-snow`, each thing once.

    Raises:
        InvalidRequest: there is no such mask.

    >>> parse_mask("permissive+cirrus+snow") == parse_mask("standard")
    True
    """
    shape = _SHAPE.fullmatch(name)
    if shape is None or shape["preset"] not in _UNCLEAR:
        raise InvalidRequest(
            f"unknown mask {name!r}; use one of {', '.join(_UNCLEAR)}, with +cirrus, -cirrus, +snow or "
            "-snow after it if need be, such as standard-snow"
        )
    bits = _UNCLEAR[shape["preset"]]
    switched = re.findall(r"([+-])([a-z]+)", shape["switches"])
    for sign, what in switched:
        if what not in _SWITCHES:
            raise InvalidRequest(
                f"a mask can switch {' and '.join(_SWITCHES)}, got {what} in {name!r}; leave it out"
            )
        bits = bits | _SWITCHES[what] if sign == "+" else bits & ~_SWITCHES[what]
    if len({what for _, what in switched}) < len(switched):
        raise InvalidRequest(f"a mask must switch each thing once, got {name!r}; leave one out")
    return Mask(int(bits), STRICT_SCL if shape["preset"] == "strict" else ())


def _checked(name: str) -> str:
    try:
        parse_mask(name)
    except InvalidRequest as error:
        raise ValueError(str(error)) from error
    return name


MaskName = Annotated[str, AfterValidator(_checked)]
"""The name of a mask; pydantic checks it."""


def unclear_bits(mask: MaskName) -> int:
    """Bits of `qa` that make a pixel unclear under a mask (`strict` also looks at `scl`)."""
    return parse_mask(mask).bits


def strict_classes(mask: MaskName) -> tuple[SCL, ...]:
    """Classes of `scl` that a mask counts as unclear though no bit says so; none but of `strict`."""
    return parse_mask(mask).classes


def clear_pixels(
    qa: NDArray[np.uint8], scl: NDArray[np.uint8] | None, mask: MaskName
) -> NDArray[np.bool_]:
    """Where the surface was seen: True = usable.

    Args:
        qa: any shape.
        scl: the same shape; only `strict` needs it.
        mask: which bits count as unclear.

    Raises:
        InvalidRequest: there is no such mask.
    """
    meant = parse_mask(mask)
    clear = np.asarray((qa & meant.bits) == 0)
    if meant.classes:
        if scl is None:
            raise ValueError(f"the mask {mask} needs scl")
        clear &= ~np.isin(scl, meant.classes)
    return clear
