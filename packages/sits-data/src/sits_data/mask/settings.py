"""How a cube's `qa` came to be."""

from sits_data.mask.shape import Refinement


class QaSettings(Refinement, frozen=True):
    """What decides the bits of `qa`, given a cube's pixels; a cube's attribute `qa_settings`.

    Args:
        detectors: whose findings are united: `scl`, or names of detectors with their arguments. Without
            `scl`, clouds, shadows and cirrus are theirs alone; no data and snow stay SCL's.
    """

    detectors: tuple[str, ...] = ("scl",)
