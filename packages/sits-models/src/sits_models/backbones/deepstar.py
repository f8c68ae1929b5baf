"""Deep-STaR as its authors trained it: SqueezeNet on a square canvas of three bands.

Source: Chelali, Kurtz, Puissant and Vincent, CVIU 208-209 (2021) 103221; SqueezeNet: Iandola et al.,
arXiv 1602.07360, version 1.1 of torchvision (the paper does not say which).
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import (  # type: ignore[import-untyped]
    SqueezeNet1_1_Weights,
    squeezenet1_1,
)

from sits_data.errors import InvalidRequest
from sits_models.backbones import Features
from sits_models.backbones.canvas import Fit, paint, unpaint
from sits_models.backbones.photographs import learned_or_new

_WEIGHTS = "ImageNet (torchvision, SqueezeNet1_1_Weights.IMAGENET1K_V1)"


class DeepSTaR(nn.Module):
    """The convolutions of SqueezeNet 1.1, and the mean of their last map over what shows pixels.

    The paper takes the mean over the whole canvas and then the softmax; here columns without pixels
    are left out, so that the layer that names an image names its single columns too.

    Args:
        in_channels: bands of the batch, C.
        bands: positions of three bands, which take the filters of red, green and blue; None is the last
            three: give near infrared, red and green, as the paper does.
        side: of the canvas.
        fit: how positions are set on it, see `canvas.paint`: "centre" for walks, "repeat" for curves.
        dropout: share of features that training leaves out.
        pretrained: start from weights that torchvision trained on ImageNet; where they are not to be had
            a warning says so, and `starts_from` stays None.

    Raises:
        InvalidRequest: not three bands, or none that the batch has.
    """

    starts_from: str | None = None
    """What its first weights were trained on, if anything."""

    def __init__(
        self,
        in_channels: int = 10,
        *,
        bands: Sequence[int] | None = None,
        side: int = 224,
        fit: Fit = "centre",
        dropout: float = 0.5,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        chosen = tuple(range(in_channels)[-3:]) if bands is None else tuple(bands)
        if len(set(chosen)) != 3 or not set(chosen) <= set(range(in_channels)):
            raise InvalidRequest(
                f"Deep-STaR reads three bands of positions 0 to {in_channels - 1}, got {list(chosen)}"
            )
        self.in_channels, self.embed_dim = in_channels, 512
        self.bands, self.side, self.fit = chosen, side, fit
        self.features: nn.Module = squeezenet1_1().features
        if pretrained:
            self.features, learned = learned_or_new(_squeezenet, "SqueezeNet")
            self.starts_from = _WEIGHTS if learned else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Features of planar images.

        Args:
            batch: `image` (B, C, T, L), `clear`, `dates`, `pad_mask` and `index` of the contract.

        Returns:
            Embedding (B, 512) and pixels (B, L, 512).
        """
        canvas = paint(batch, bands=self.bands, side=self.side, fit=self.fit)
        found = self.dropout(self.features(canvas.image)).mean(2)  # (B, D, columns)
        found = functional.interpolate(found, size=self.side, mode="linear")
        column = canvas.column[:, None].expand(-1, found.shape[1], -1)
        pixels = found.gather(2, column).transpose(1, 2)
        weight = batch["clear"].any(1)[..., None].to(pixels.dtype)
        return Features((pixels * weight).sum(1) / weight.sum(1).clamp(min=1), pixels)

    @property
    def last_maps(self) -> nn.Module:
        """What makes the maps (B, D, h, w) that attention is read from: the last Fire module."""
        return self.features

    def spread(self, maps: Sequence[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Cells of the last maps, one (B, h, w), brought to the observations: (B, T, L), bilinear."""
        (cells,) = maps
        canvas = functional.interpolate(cells[:, None], size=(self.side,) * 2, mode="bilinear")[:, 0]
        return unpaint(canvas, batch, fit=self.fit)


def _squeezenet(learned: bool) -> nn.Module:
    weights = SqueezeNet1_1_Weights.IMAGENET1K_V1 if learned else None
    features: nn.Module = squeezenet1_1(weights=weights).features
    return features
