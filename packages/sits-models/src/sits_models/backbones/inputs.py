"""What a backbone reads of a batch: values and dates that are 0 wherever nothing is clear."""

from collections.abc import Mapping

from torch import Tensor

from sits_models.errors import InvalidConfig


def curve(batch: Mapping[str, Tensor], bands: int) -> tuple[Tensor, Tensor, Tensor]:
    """The image (B, C, T, L), `clear` (B, T, L) and dates (B, T) of planar images.

    Args:
        batch: `image`, `clear` and `dates` of the contract.
        bands: that the backbone takes, C.

    Raises:
        InvalidConfig: the batch has another form or other bands.
    """
    image, clear = batch["image"], batch["clear"]
    if image.ndim != 4 or image.shape[1] != bands:
        raise InvalidConfig(
            f"planar images must be (B, {bands}, T, L), got {_shape(image)}; make them with "
            f"sits_models.data.forms.curve_batch and the backbone with in_channels of their bands"
        )
    return image.masked_fill(~clear[:, None], 0), clear, _known(batch["dates"], clear)


def chip(batch: Mapping[str, Tensor], bands: int) -> tuple[Tensor, Tensor, Tensor]:
    """The image (B, T, C, H, W), `clear` (B, T, H, W) and dates (B, T) of chips.

    Args:
        batch: `image`, `clear` and `dates` of the contract.
        bands: that the backbone takes, C.

    Raises:
        InvalidConfig: the batch has another form or other bands.
    """
    image, clear = batch["image"], batch["clear"]
    # A bag of walks has five axes too, and the positions' index, which a chip has not.
    if image.ndim != 5 or "index" in batch or image.shape[2] != bands:
        raise InvalidConfig(
            f"chips must be (B, T, {bands}, H, W) without an index, got {_shape(image)}; make them with "
            f"sits_models.data.forms.chip_batch and the backbone with in_channels of their bands"
        )
    return image.masked_fill(~clear[:, :, None], 0), clear, _known(batch["dates"], clear)


def _known(dates: Tensor, clear: Tensor) -> Tensor:
    """A date on which nothing was clear is one that pads."""
    return dates.masked_fill(~clear.flatten(2).any(-1), 0)


def _shape(image: Tensor) -> str:
    return f"({', '.join(map(str, image.shape))})"
