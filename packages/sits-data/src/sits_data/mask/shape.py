"""Clouds reshaped: specks removed, what is left widened, both in metres.

Erosion comes first and is an opening: what is nowhere wider than about twice the distance goes, and
everything else keeps its outline. Dilation then widens what is left. The usual recipe for s2cloudless
on Earth Engine (`focal_min`, then `focal_max`) does it in this order, but does not give back what
erosion took from the edges of true clouds, so a dilation smaller than the erosion would uncover them;
an opening never does.

Source: Google Earth Engine, "Sentinel-2 Cloud Masking with s2cloudless" (erosion by 2 pixels,
dilation by 50 m); HLS v2.0 User Guide, Fmask (dilation by 5 pixels of 30 m, no erosion).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sits_data.mask.bits import OBSCURED, QA

MAX_DILATE_M = 5000.0
MAX_ERODE_M = 1000.0


class Refinement(BaseModel, frozen=True):
    """How clouds, shadows and cirrus are reshaped, as one: a thin shadow along a cloud is no speck.

    Args:
        dilate_m: what lies within this distance, from pixel centre to pixel centre, is marked too.
        erode_m: what does not hold a disk of this radius is unmarked, before the dilation.
    """

    dilate_m: float = Field(default=0.0, ge=0, le=MAX_DILATE_M)
    erode_m: float = Field(default=0.0, ge=0, le=MAX_ERODE_M)

    @property
    def nothing(self) -> bool:
        """Whether everything stays as it is."""
        return self.dilate_m == self.erode_m == 0

    def reach_px(self, resolution_m: float) -> int:
        """How many pixels beyond a window decide what becomes of those in it."""
        return math.ceil((2 * self.erode_m + self.dilate_m) / resolution_m)


@dataclass(frozen=True)
class Refined:
    """Where clouds, shadows and cirrus stay, and what is near to them.

    Args:
        kept: (y, x), True where a mark of cloud, shadow or cirrus is no speck.
        near: (y, x), True within the dilation of what is kept, and there itself.
    """

    kept: NDArray[np.bool_]
    near: NDArray[np.bool_]


def refine(qa: NDArray[np.uint8], refinement: Refinement, resolution_m: float) -> Refined:
    """Find specks, and what is near to clouds.

    A pixel without data is no clear one: it does not eat into a cloud beside it, and what is cut off
    by it is no speck.

    Args:
        qa: (y, x) bits, at the resolution of what they come from: SCL's 20 m.
        refinement: distances.
        resolution_m: pixel size in metres.

    Returns:
        Two masks of the same shape. What lies beyond the array is no cloud to the dilation, and does not
        eat into a cloud; pad a window by `Refinement.reach_px` to have what lies there.
    """
    marked = (qa & OBSCURED) != 0
    kept = marked
    if refinement.erode_m > 0 and marked.any():
        unknown = (qa & QA.NO_DATA) != 0
        kept = marked & _opened(marked | unknown, refinement.erode_m, resolution_m)
    if refinement.dilate_m > 0 and kept.any():
        near = np.asarray(_distance_m(kept, resolution_m) <= refinement.dilate_m)
    else:
        near = kept
    return Refined(kept, near)


def refined_qa(
    qa: NDArray[np.uint8], kept: NDArray[np.bool_], near: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Bits without the specks and with what is near to clouds; no other bit changes.

    Args:
        qa: (y, x) bits, of a cube's pixels.
        kept: (y, x), as in `Refined`, brought to the cube's resolution.
        near: the same.

    Returns:
        (y, x) bits; `DILATED` where a pixel is near to a cloud, shadow or cirrus and none itself.
    """
    out = np.where(kept, qa, qa & ~np.uint8(OBSCURED))
    out[near & ((out & OBSCURED) == 0)] |= np.uint8(QA.DILATED)
    return np.asarray(out)


def _opened(shape: NDArray[np.bool_], radius_m: float, resolution_m: float) -> NDArray[np.bool_]:
    """What disks of a radius cover that fit into a shape; beyond the array it goes on."""
    if shape.all():
        return shape
    core = _distance_m(~shape, resolution_m) > radius_m
    if not core.any():
        return np.asarray(core)
    return np.asarray(_distance_m(core, resolution_m) <= radius_m)


def _distance_m(shape: NDArray[np.bool_], resolution_m: float) -> NDArray[np.float64]:
    """(y, x) metres to the nearest pixel of a shape."""
    # A tenth of what every command would import, and only asked for with --dilate or --erode.
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(~shape, sampling=resolution_m))
