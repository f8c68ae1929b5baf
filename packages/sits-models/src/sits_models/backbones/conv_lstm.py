"""ConvLSTM on chips: an LSTM whose gates look at neighbouring pixels.

Source: Shi et al., Convolutional LSTM Network, NeurIPS 2015, arXiv 1506.04214; two layers of 64 as the
baseline of Chelali, Kurtz, Puissant and Vincent, Deep-STaR, CVIU 208-209, 2021.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torchgeo.models import ConvLSTM

from sits_models.backbones import Features
from sits_models.backbones.fourier import day_of_year
from sits_models.backbones.inputs import chip
from sits_models.backbones.series import features, shown
from sits_models.errors import InvalidConfig

_MOSTLY_SHOWN = 0.7
"""Share of the pixels from which on it takes less time to convolve whole chips."""

_MOST_PRODUCTS = 2**25
"""Numbers that may lie in memory at once for pixels alone; convolving whole chips needs fewer."""


class ChipConvLSTM(nn.Module):
    """The cells of TorchGeo's ConvLSTM; a pixel's state waits while the pixel is not clear.

    TorchGeo's own loop reads every date, cloudy ones too, and knows only how long a series is. Here each
    pixel keeps its state over dates on which it is not clear. Where nothing was ever clear the state
    stays 0, as beyond the chip's edge, so that of chips which show little, as those of parcels do, only
    the pixels that do are worked on.

    The gates see the bands, whether a pixel is clear, and the day of the year. The paper gives no number
    of weights; these make 486 656 with ten bands and four waves.

    Args:
        in_channels: bands, C.
        hidden: channels of each layer, D.
        layers: on top of each other.
        kernel: pixels that a gate spans; odd.
        year_waves: sines of the day of year.

    Raises:
        InvalidConfig: the kernel is even.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        hidden: int = 64,
        layers: int = 2,
        kernel: int = 3,
        year_waves: int = 4,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise InvalidConfig(f"kernel must be odd, got {kernel}; give {kernel + 1}")
        self.in_channels, self.embed_dim, self.year_waves = in_channels, hidden, year_waves
        self.kernel = kernel
        inputs = in_channels + 1 + 2 * year_waves
        # Its head for classes is left behind.
        self.cells = ConvLSTM(inputs, hidden, kernel_size=kernel, num_layers=layers).cell_list

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of chips.

        Args:
            batch: `image` (B, T, C, H, W), `clear` (B, T, H, W) and `dates` (B, T) of the contract are
                used.

        Returns:
            Embedding (B, D) and pixels (B, H, W, D).
        """
        image, clear, dates = chip(batch, self.in_channels)
        flag = clear[:, :, None].to(image.dtype)
        when = rearrange(day_of_year(dates, self.year_waves), "b t w -> b t w 1 1")
        inputs = torch.cat([image, flag, when * flag], dim=2)
        # A chip's dates that show something come first; on the others its states would wait.
        shows = clear.any(3).any(2)
        dates_read = max(1, int(shows.sum(1).max()))
        order = shows.int().argsort(dim=1, descending=True, stable=True)[:, :dates_read, None, None]
        waits = ~clear.take_along_dim(order, 1)
        inputs = inputs.take_along_dim(order[..., None], 1)
        ever = clear.any(1)
        run = shown(ever)
        products = int(run.sum()) * self.kernel**2 * 4 * self.embed_dim
        if run.float().mean() > _MOSTLY_SHOWN or products > _MOST_PRODUCTS:
            hidden = self._last(inputs, waits[:, :, None], self._convolutions)
            pixels = rearrange(hidden, "b d h w -> b h w d")[run]
        else:
            inputs = rearrange(inputs, "b t c h w -> b h w t c")[run]
            waits = rearrange(waits, "b t h w -> b h w t 1")[run]
            beside = _beside(run, self.kernel)
            pixels = self._last(inputs, waits, [_at_pixels(one, beside) for one in self._convolutions])
        return features(pixels, ever)

    @property
    def _convolutions(self) -> list[nn.Conv2d]:
        return [cast(nn.Conv2d, cell.conv) for cell in self.cells]

    def _last(
        self, inputs: Tensor, waits: Tensor, layers: Sequence[Callable[[Tensor], Tensor]]
    ) -> Tensor:
        """The last state of the last layer: (B, D, H, W), or a row (N, D) a pixel.

        Args:
            inputs: (B, T, C, H, W) or (N, T, C).
            waits: (B, T, 1, H, W) or (N, T, 1) bool, where states stay as they are.
            layers: give their gates for what they see.
        """
        zero = inputs.new_zeros(len(inputs), self.embed_dim, *inputs.shape[3:])
        states = [(zero, zero) for _ in layers]
        for step, wait in zip(inputs.unbind(1), waits.unbind(1), strict=True):
            below = step
            for layer, gates in enumerate(layers):
                hidden, memory = states[layer]
                write, keep, show, new = gates(torch.cat([below, hidden], dim=1)).chunk(4, dim=1)
                now = keep.sigmoid() * memory + write.sigmoid() * new.tanh()
                memory = torch.where(wait, memory, now)
                below = torch.where(wait, hidden, show.sigmoid() * now.tanh())
                states[layer] = below, memory
        return states[-1][0]


def _beside(run: Tensor, kernel: int) -> Tensor:
    """The pixels around each of N pixels and itself: (N, kernel²) of their numbers, N where none is.

    Args:
        run: (B, H, W) bool, True for N.
        kernel: pixels along a side.
    """
    count = int(run.sum())
    number = torch.full(run.shape, count, device=run.device)
    number[run] = torch.arange(count, device=run.device)
    around = functional.pad(number, [kernel // 2] * 4, value=count)
    return around.unfold(1, kernel, 1).unfold(2, kernel, 1)[run].flatten(1)


def _at_pixels(convolution: nn.Conv2d, beside: Tensor) -> Callable[[Tensor], Tensor]:
    """A convolution as a function of rows (N, C): products once a pixel, summed over the pixels around.

    Args:
        convolution: padded with zeros.
        beside: see `_beside`.
    """
    weight = rearrange(convolution.weight, "d c y x -> c (y x d)")
    bias = cast(Tensor, convolution.bias)
    around = beside.shape[1]
    places = beside * around + torch.arange(around, device=beside.device)

    def convolve(values: Tensor) -> Tensor:
        products = functional.pad(values, (0, 0, 0, 1)) @ weight
        table = products.view(-1, convolution.out_channels)
        return functional.embedding_bag(places, table, mode="sum") + bias

    return convolve
