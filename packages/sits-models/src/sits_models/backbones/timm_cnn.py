"""Any convolutional network of timm on planar images, as if they were pictures.

Source: networks of pictures on planar images after Chelali, Kurtz, Puissant and Vincent, Deep-STaR, CVIU
208-209, 2021; timm: Wightman, PyTorch Image Models, 2019.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import timm
import torch
from einops import rearrange
from timm.models import FeatureInfo
from torch import Tensor, nn
from torch.nn import functional

from sits_models.backbones import Features
from sits_models.backbones.fourier import day_of_year
from sits_models.backbones.inputs import curve
from sits_models.backbones.photographs import learned_or_new
from sits_models.backbones.series import features, shown
from sits_models.errors import InvalidConfig


class TimmCNN(nn.Module):
    """Rows are dates, columns are positions; channels are bands, clear flag, sine and cosine of dates.

    Dates on which nothing was clear are taken out, and what follows the last clear position is cut off.
    Each image is then padded with zeros to whole cells of the network, at least two along each axis, and
    run with others of its size: what a batch pads does not reach the network, whatever its layers are.

    A position's vector is the mean of the cells that it lies in, weighted by its clear dates in each.
    Neighbours in one cell whose clear dates are alike have like vectors: a smaller stride tells more of
    them apart. What pads an image to whole cells is in the batch statistics of a training step.

    At stride 32 a ResNet-18 of three channels has 11 176 512 weights: timm's 11 689 512 without the
    classifier's 513 000. Ten bands make thirteen channels.

    Args:
        in_channels: bands, C.
        network: its name in timm.
        stride: dates and positions of a cell; the network is cut where it reaches it.
        pretrained: start from timm's weights, mostly of ImageNet. In the first convolution red, green
            and blue keep their filters and every other channel takes the mean of the three, all times
            3 / channels, so that a grey picture is answered as strongly as before. Where the weights
            are not to be had a warning says so, and `starts_from` stays None.
        colours: positions of red, green and blue among the bands; None where nothing says which they
            are: then all channels take the mean.

    Raises:
        InvalidConfig: timm has no such network, it gives no cells, or cannot be cut at that stride; or
            colours are not three bands.
    """

    starts_from: str | None = None
    """What its first weights were trained on, if anything."""

    def __init__(
        self,
        in_channels: int = 10,
        *,
        network: str = "resnet18",
        stride: int = 16,
        pretrained: bool = False,
        colours: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        known = tuple(colours or ())
        if known and (len(set(known)) != 3 or not set(known) <= set(range(in_channels))):
            raise InvalidConfig(
                f"red, green and blue must be three bands of positions 0 to {in_channels - 1}, got "
                f"{list(known)}"
            )
        self.in_channels, self.stride = in_channels, stride
        whole = _pyramid(network, in_channels + 3)
        level = _info(whole).reduction()
        if stride not in level:
            raise InvalidConfig(
                f"the stride of {network} must be one of {', '.join(map(str, level))}, got {stride}"
            )

        def make(learned: bool) -> nn.Module:
            return timm.create_model(
                network, pretrained=learned, features_only=True, in_chans=in_channels + 3,
                out_indices=(level.index(stride),),
            )  # fmt: skip

        self.network, learned = learned_or_new(make, network) if pretrained else (make(False), False)
        if learned:
            _widen(self.network, known)
        self.starts_from = f"ImageNet (timm, {network})" if learned else None
        if stride != level[-1] and _weights(self.network) == _weights(whole):
            raise InvalidConfig(
                f"the stride of {network}, which timm cannot cut, must be {level[-1]}, got {stride}"
            )
        self.embed_dim = int(_info(self.network).channels()[-1])

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images.

        Args:
            batch: `image` (B, C, T, L), `clear` (B, T, L) and `dates` (B, T) of the contract are used.

        Returns:
            Embedding (B, D) and pixels (B, L, D).
        """
        image, clear, dates = curve(batch, self.in_channels)
        flag = clear[:, None].to(image.dtype)
        when = rearrange(day_of_year(dates, 1), "b t w -> b w t 1")
        pictures = torch.cat([image, flag, when * flag], dim=1)
        row, order = _known_first(clear)
        pictures = rearrange(pictures, "b c t l -> b t c l")[row, order].transpose(1, 2)
        clear = clear[row, order]
        seen, parts, members = clear.any(1), [], []
        for of, rows, columns in self._alike(clear):
            more = (0, columns - clear.shape[2], 0, rows - clear.shape[1])  # negative ones cut
            part = self._pixels(functional.pad(pictures[of], more), functional.pad(clear[of], more))
            parts.append(functional.pad(part, (0, 0, 0, clear.shape[2] - columns)))
            members.append(of)
        pixels = torch.cat(parts)[torch.cat(members).argsort()]
        return features(pixels[shown(seen)], seen)

    @property
    def last_maps(self) -> nn.Module:
        """What makes the maps (N, D, h, w) that attention is read from, once for each size of image."""
        return self.network

    def spread(self, maps: Sequence[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Cells of the last maps, (N, h, w) of each size, brought to the observations: (B, T, L)."""
        clear = batch["clear"]
        row, order = _known_first(clear)
        front = clear[row, order]
        found = torch.zeros(clear.shape, dtype=maps[0].dtype, device=clear.device)
        for cells, (of, rows, columns) in zip(maps, self._alike(front), strict=True):
            fine = functional.interpolate(cells[:, None], size=(rows, columns), mode="bilinear")[:, 0]
            more = (0, clear.shape[2] - columns, 0, clear.shape[1] - rows)
            found[of] = functional.pad(fine, more)
        return torch.zeros_like(found).scatter(1, order[..., None].expand_as(found), found) * clear

    def _alike(self, clear: Tensor) -> Iterator[tuple[Tensor, int, int]]:
        """Images that make as many whole cells: which, and their dates and positions, padded."""
        place = torch.arange(1, clear.shape[2] + 1, device=clear.device)
        extent = torch.stack([clear.any(2).sum(1), (clear.any(1) * place).amax(1)], dim=1)
        whole = (-(-extent // self.stride)).clamp(min=2) * self.stride
        sizes, kind = torch.unique(whole, dim=0, return_inverse=True)
        for number, (rows, columns) in enumerate(sizes.tolist()):
            yield (kind == number).nonzero()[:, 0], rows, columns

    def _pixels(self, pictures: Tensor, clear: Tensor) -> Tensor:
        """(N, L, D) of pictures (N, C, T, L) of whole cells."""
        (cells,) = self.network(pictures)
        dates = rearrange(clear, "n (i s) (j p) -> n i s j p", s=self.stride, p=self.stride).sum(2)
        weight = dates / dates.sum(1, keepdim=True).clamp(min=1)
        return rearrange(
            torch.einsum("ndij,nijp->njpd", cells, weight.to(cells)), "n j p d -> n (j p) d"
        )


def _pyramid(name: str, channels: int) -> nn.Module:
    """A whole network of timm that gives features of each stride, without memory for its weights."""
    if not timm.is_model(name):
        raise InvalidConfig(f"the network must be one of timm, got {name!r}; see timm.list_models()")
    try:
        with torch.device("meta"):
            network = timm.create_model(name, features_only=True, in_chans=channels).eval()
            strides = _info(network).reduction()
            side = 4 * max(strides)
            maps = network(torch.zeros(1, channels, side, side))
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise InvalidConfig(
            f"the network must give features of pictures of any size, {name} does not: {error}"
        ) from error
    found = [tuple(one.shape[2:]) for one in maps]
    if found != [(side // stride, side // stride) for stride in strides]:
        raise InvalidConfig(
            f"the network must give whole cells of each stride, {name} makes {found} of a picture of "
            f"{side} x {side} and strides of {strides}; choose one that pads its convolutions"
        )
    return network


def _widen(network: nn.Module, colours: Sequence[int]) -> None:
    """Give channels that are no colour the mean filter; timm repeats the three, times 3 / channels."""
    first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
    with torch.no_grad():
        red_green_blue = first.weight[:, :3].clone()
        first.weight.copy_(red_green_blue.mean(1, keepdim=True).expand_as(first.weight))
        if colours:
            first.weight[:, list(colours)] = red_green_blue


def _info(network: nn.Module) -> FeatureInfo:
    return cast(FeatureInfo, network.feature_info)


def _weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _known_first(clear: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (B, 1) and dates (B, T) that put dates on which anything was clear before the others."""
    order = (~clear.any(2)).to(torch.uint8).argsort(dim=1, stable=True)
    return torch.arange(len(clear), device=clear.device)[:, None], order
