"""The bits of `qa`, and what Sen2Cor's scene classification says in them."""

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import SCL


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

OBSCURED = QA.CLOUD | QA.SHADOW | QA.CIRRUS
"""What hides the land: what is dilated and eroded, and what detectors may find anew."""

FLAGS = QA.READ_FAILED | QA.NOT_READ
"""What happened when a cube was built; no new look at its pixels changes that."""

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


def qa_from_scl(scl: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The `qa` bits of a scene classification, pixel by pixel.

    >>> qa_from_scl(np.array([0, 3, 4, 9, 10, 11], np.uint8))
    array([ 1,  4,  0,  2,  8, 16], dtype=uint8)
    """
    return _QA_OF_SCL[scl]
