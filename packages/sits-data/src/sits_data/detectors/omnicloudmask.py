"""OmniCloudMask: a network for clouds and their shadows in red, green and near infrared.

It is given the numbers that it was trained on, DN = 10000 * reflectance + 1000, at the cube's
resolution. Thin cloud becomes the bit of cirrus, so that a mask decides whether it counts.

Source: Wright et al. (2025), "Training sensor-agnostic deep learning models for remote sensing:
Achieving state-of-the-art cloud and cloud shadow identification with OmniCloudMask", Remote Sensing of
Environment 322; github.com/DPIRD-DMA/OmniCloudMask, `predict_from_array`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from sits_data.bands import DN_OFFSET, DN_SCALE
from sits_data.detectors.base import Target, View
from sits_data.errors import DetectorUnavailable, InvalidRequest
from sits_data.mask import QA

CLASSES = np.array([0, QA.CLOUD, QA.CIRRUS, QA.SHADOW], np.uint8)
"""Bits of its classes: clear, thick cloud, thin cloud, cloud shadow."""

MIN_PX = 32
"""Smaller images it refuses."""

PATCH_PX, OVERLAP_PX = 1000, 300
"""Its own defaults; smaller images are one patch."""

Predict = Callable[..., NDArray[np.uint8]]


@dataclass(frozen=True)
class OmniCloudMask:
    """The detector.

    Args:
        predict: `omnicloudmask.predict_from_array`.
        bands: red, green and near infrared.
        context_m: a window is seen with so much around it, so that no seams appear between windows.
    """

    predict: Predict
    bands: tuple[str, ...]
    context_m: float = 1500
    lock: Lock = field(default_factory=Lock, compare=False)

    def detect(self, view: View) -> NDArray[np.uint8]:
        """(y, x) bits of cloud, shadow and (thin cloud) cirrus."""
        height, width = view.reflectance.shape[1:]
        seen = np.isfinite(view.reflectance).all(axis=0)
        if not seen.any():
            return np.zeros((height, width), np.uint8)
        dn = np.maximum((view.reflectance - DN_OFFSET) / DN_SCALE, 1)
        dn = np.where(seen, dn, 0).astype(np.float32)
        dn = np.pad(dn, ((0, 0), (0, max(0, MIN_PX - height)), (0, max(0, MIN_PX - width))))
        side = min(dn.shape[1:])
        patch = min(PATCH_PX, side)
        with self.lock:  # one image fills the machine
            found = self.predict(
                dn, patch_size=patch, patch_overlap=min(OVERLAP_PX, patch // 2), no_data_value=0
            )
        classes = np.asarray(found)[0, :height, :width]
        return np.asarray(np.where(seen, CLASSES[classes], 0), np.uint8)


def make(argument: str, target: Target) -> OmniCloudMask:
    """The detector, for a cube of 10 or 20 m with red, green and near infrared.

    Raises:
        DetectorUnavailable: omnicloudmask is not installed.
        InvalidRequest: it takes no argument, and no coarser cube.
    """
    if argument:
        raise InvalidRequest(f"omnicloudmask takes no argument, got {argument!r}; leave it out")
    if target.resolution_m > 50:
        raise InvalidRequest(
            f"omnicloudmask sees pixels of 10 to 50 m, this cube has {target.resolution_m} m; build one "
            "with --resolution 20"
        )
    try:
        from omnicloudmask import predict_from_array
    except ImportError as error:
        raise DetectorUnavailable(
            f'omnicloudmask is not installed ({error}); pip install "sits-data[omnicloudmask]"'
        ) from error
    nir = "B8A" if "B8A" in target.bands else "B08"
    return OmniCloudMask(predict_from_array, ("B04", "B03", nir))
