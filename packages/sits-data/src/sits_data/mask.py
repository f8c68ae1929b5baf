"""What Sen2Cor's scene classification says of each pixel, as bits that can be combined later.

Bits say what was seen; a preset decides which of them make a pixel unclear. Values are never
overwritten.
"""

from enum import IntFlag
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sits_data.bands import SCL

MaskPreset = Literal["standard", "strict", "permissive"]


class QA(IntFlag):
    """Bits of the `qa` array."""

    NO_DATA = 1
    CLOUD = 2
    SHADOW = 4
    CIRRUS = 8
    SNOW = 16
    DILATED = 32
    READ_FAILED = 64
    NOT_READ = 128


ALWAYS_UNCLEAR = QA.NO_DATA | QA.DILATED | QA.READ_FAILED | QA.NOT_READ

_UNCLEAR: dict[MaskPreset, QA] = {
    "permissive": ALWAYS_UNCLEAR | QA.CLOUD | QA.SHADOW,
    "standard": ALWAYS_UNCLEAR | QA.CLOUD | QA.SHADOW | QA.CIRRUS | QA.SNOW,
    "strict": ALWAYS_UNCLEAR | QA.CLOUD | QA.SHADOW | QA.CIRRUS | QA.SNOW,
}

STRICT_SCL = (SCL.DARK_AREA, SCL.UNCLASSIFIED)
"""Classes without a bit of their own that `strict` counts as unclear too."""

_QA_OF_SCL = np.zeros(256, np.uint8)
for _scl, _qa in {
    SCL.NO_DATA: QA.NO_DATA,
    SCL.SATURATED_OR_DEFECTIVE: QA.NO_DATA,
    SCL.CLOUD_SHADOW: QA.SHADOW,
    SCL.CLOUD_MEDIUM: QA.CLOUD,
    SCL.CLOUD_HIGH: QA.CLOUD,
    SCL.CIRRUS: QA.CIRRUS,
    SCL.SNOW: QA.SNOW,
}.items():
    _QA_OF_SCL[_scl] = _qa


def unclear_bits(preset: MaskPreset) -> int:
    """Bits of `qa` that make a pixel unclear under a preset (`strict` also looks at `scl`)."""
    return int(_UNCLEAR[preset])


def qa_from_scl(scl: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The `qa` bits of a scene classification, pixel by pixel.

    >>> qa_from_scl(np.array([0, 3, 4, 9, 10, 11], np.uint8))
    array([ 1,  4,  0,  2,  8, 16], dtype=uint8)
    """
    return _QA_OF_SCL[scl]


def dilate(scl: NDArray[np.uint8], radius_m: float, resolution_m: float) -> NDArray[np.bool_]:
    """Pixels within a distance of cloud, shadow or cirrus that are none of these themselves.

    Args:
        scl: (y, x), at SCL's own resolution.
        radius_m: distance between pixel centres, in metres; 0 marks nothing.
        resolution_m: pixel size in metres.

    Returns:
        (y, x), True where the bit `DILATED` belongs.
    """
    seeds = (_QA_OF_SCL[scl] & (QA.CLOUD | QA.SHADOW | QA.CIRRUS)) != 0
    if radius_m <= 0 or not seeds.any():
        return np.zeros(scl.shape, bool)
    distance = ndimage.distance_transform_edt(~seeds, sampling=resolution_m)
    return np.asarray((distance <= radius_m) & ~seeds)


def clear_pixels(
    qa: NDArray[np.uint8], scl: NDArray[np.uint8] | None, preset: MaskPreset
) -> NDArray[np.bool_]:
    """Where the surface was seen: True = usable.

    Args:
        qa: any shape.
        scl: the same shape; only `strict` needs it.
        preset: which bits count as unclear.
    """
    clear = np.asarray((qa & unclear_bits(preset)) == 0)
    if preset == "strict":
        if scl is None:
            raise ValueError("the preset strict needs scl")
        clear &= ~np.isin(scl, STRICT_SCL)
    return clear
