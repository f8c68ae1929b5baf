"""LSTM and GRU on the series of each pixel.

Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997; Cho et al.,
EMNLP 2014, arXiv 1406.1078. Three layers of 256 as the baseline of Chelali, Kurtz, Puissant and Vincent,
Deep-STaR, CVIU 208-209, 2021.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from sits_models.backbones import Features
from sits_models.backbones.fourier import day_of_year
from sits_models.backbones.inputs import curve
from sits_models.backbones.series import clear_series, features
from sits_models.errors import InvalidConfig

Cell = Literal["lstm", "gru"]

_CELLS: Mapping[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Reads the clear observations of each pixel in order; its last state is the pixel's vector.

    Each step is the bands and the day of the year. Unclear and padded dates are no steps: the rows are
    packed, which is exact in every layer and in both directions.

    The paper gives no number of weights. Without dates an LSTM of ten bands has 1 327 104 =
    4·256·(10 + 256 + 2) + 2·4·256·(256 + 256 + 2); the sines of the date add 4·256 each.

    Args:
        in_channels: bands, C.
        cell: "lstm" or "gru".
        hidden: width of each layer and direction.
        layers: on top of each other.
        bidirectional: read backwards too; D is twice `hidden` then.
        dropout: share of activations that are dropped between layers.
        year_waves: sines of the day of year.

    Raises:
        InvalidConfig: there is no such cell.
    """

    def __init__(
        self,
        in_channels: int = 10,
        *,
        cell: Cell = "lstm",
        hidden: int = 256,
        layers: int = 3,
        bidirectional: bool = False,
        dropout: float = 0.2,
        year_waves: int = 4,
    ) -> None:
        super().__init__()
        if cell not in _CELLS:
            raise InvalidConfig(f"the cell must be one of {', '.join(_CELLS)}, got {cell!r}")
        self.in_channels, self.embed_dim = in_channels, hidden * (1 + bidirectional)
        self.directions, self.year_waves = 1 + bidirectional, year_waves
        self.network = _CELLS[cell](
            in_channels + 2 * year_waves,
            hidden,
            num_layers=layers,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
            batch_first=True,
        )

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images, each position by itself.

        Args:
            batch: `image` (B, C, T, L), `clear` (B, T, L) and `dates` (B, T) of the contract are used.

        Returns:
            Embedding (B, D) and pixels (B, L, D).
        """
        image, clear, dates = curve(batch, self.in_channels)
        series = clear_series(image, clear, day_of_year(dates, self.year_waves))
        steps = torch.cat([series.values, series.when], dim=-1)
        # Lengths are read by the processor, wherever the rows lie.
        length = series.known.sum(1).cpu()
        packed = pack_padded_sequence(steps, length, batch_first=True, enforce_sorted=False)
        _, state = self.network(packed)
        last = state[0] if isinstance(state, tuple) else state  # (layers · directions, N, hidden)
        vectors = torch.cat(list(last[-self.directions :]), dim=-1)
        return features(vectors, clear.any(1))
