"""ConvLSTM on chips: an LSTM whose gates look at neighbouring pixels.

Source: Shi et al., Convolutional LSTM Network, NeurIPS 2015, arXiv 1506.04214; two layers of 64 as the
baseline of Chelali, Kurtz, Puissant and Vincent, Deep-STaR, CVIU 208-209, 2021.
"""

from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn
from torchgeo.models import ConvLSTM

from sits_models.backbones import Features
from sits_models.backbones.fourier import day_of_year
from sits_models.backbones.inputs import chip
from sits_models.backbones.series import features, shown
from sits_models.errors import InvalidConfig


class ChipConvLSTM(nn.Module):
    """The cells of TorchGeo's ConvLSTM; a pixel's state waits while the pixel is not clear.

    TorchGeo's own loop reads every date, cloudy ones too, and knows only how long a series is. Here each
    pixel keeps its state over dates on which it is not clear. Where nothing was ever clear the state
    stays 0, as beyond the chip's edge.

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
        zero = image.new_zeros(len(image), self.embed_dim, *image.shape[-2:])
        states = [(zero, zero) for _ in self.cells]
        # A chip's dates that show something come first; on the others its states would wait.
        shows = clear.any(3).any(2)
        steps = max(1, int(shows.sum(1).max()))
        order = shows.int().argsort(dim=1, descending=True, stable=True)[:, :steps]
        inputs = inputs.take_along_dim(order[..., None, None, None], 1)
        waits = ~clear.take_along_dim(order[..., None, None], 1)
        for step, wait in zip(inputs.unbind(1), waits.unbind(1), strict=True):
            below = step
            for layer, cell in enumerate(self.cells):
                old, new = states[layer], cell(input_tensor=below, cur_state=states[layer])
                hidden, memory = (
                    torch.where(wait[:, None], was, now) for was, now in zip(old, new, strict=True)
                )
                states[layer] = hidden, memory
                below = hidden
        ever = clear.any(1)
        pixels = rearrange(states[-1][0], "b d h w -> b h w d")
        return features(pixels[shown(ever)], ever)
