"""What stands between the land and the satellite, as bits that can be combined later.

Bits say what was seen; a mask, such as `standard` or `permissive+cirrus`, decides which of them make a
pixel unclear. Values are never overwritten.
"""

from sits_data.mask.bits import (
    ALWAYS_UNCLEAR,
    FLAGS,
    OBSCURED,
    QA,
    STRICT_SCL,
    qa_from_scl,
)
from sits_data.mask.names import (
    Mask,
    MaskName,
    MaskPreset,
    clear_pixels,
    parse_mask,
    strict_classes,
    unclear_bits,
)
from sits_data.mask.settings import QaSettings
from sits_data.mask.shape import Refined, Refinement, refine, refined_qa

__all__ = [
    "ALWAYS_UNCLEAR",
    "FLAGS",
    "OBSCURED",
    "QA",
    "STRICT_SCL",
    "Mask",
    "MaskName",
    "MaskPreset",
    "QaSettings",
    "Refined",
    "Refinement",
    "clear_pixels",
    "parse_mask",
    "qa_from_scl",
    "refine",
    "refined_qa",
    "strict_classes",
    "unclear_bits",
]
