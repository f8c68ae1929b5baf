"""Presto, TorchGeo's class: a peer to be compared with, from its own weights.

Source: Tseng, Cartuyvels, Zvonkov, Purohit, Rolnick and Kerner, Lightweight, Pre-trained Transformers
for Remote Sensing Timeseries, arXiv 2304.14065; weights: nasaharvest/presto, MIT licence.
"""

from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torchgeo.models import Presto

from sits_data.bands import DEFAULT_BANDS
from sits_data.errors import InvalidRequest
from sits_models.backbones import Features
from sits_models.backbones.fourier import main_year
from sits_models.backbones.inputs import curve
from sits_models.backbones.series import features, shown
from sits_models.ops.resample import resample

_CHANNELS, _FIRST, _NDVI = 17, 2, 16  # of Presto: S1 (2), S2 (10), ERA5 (2), SRTM (2), NDVI
_RED, _NEAR_INFRARED = 2, 6  # of our ten bands
_NO_CLASS = 9  # of Dynamic World: masked
_MONTHS, _MONTH_DAYS = 12, 365.25 / 12


class PrestoEncoder(nn.Module):
    """The encoder on the twelve months of each pixel; radar, weather, height and land cover are masked.

    A month is the mean of its clear observations; one without any is interpolated between its
    neighbours. The year is the one with most dates. Values must be reflectance, unit 1: a card of these
    weights has a normalisation that leaves them as they are.

    What the tokens say is averaged before the last norm, as its authors do for other tasks.

    Args:
        in_channels: 10, those of `sits_data.bands.DEFAULT_BANDS` in their order.
        latlon: degrees north and east of the place, which Presto wants to know.

    Raises:
        InvalidRequest: other bands.
    """

    def __init__(self, in_channels: int = 10, *, latlon: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        if in_channels != len(DEFAULT_BANDS):
            raise InvalidRequest(
                f"Presto reads the ten bands {', '.join(DEFAULT_BANDS)}, got {in_channels}; build the "
                "cube with them"
            )
        self.in_channels, self.embed_dim, self.latlon = in_channels, 128, (latlon[0], latlon[1])
        self.encoder = Presto().encoder
        self.norm = self.encoder.norm
        self.encoder.norm = nn.Identity()  # type: ignore[assignment]
        hidden = torch.ones(_CHANNELS)
        hidden[_FIRST : _FIRST + in_channels] = hidden[_NDVI] = 0
        self.register_buffer("hidden", hidden, persistent=False)

    def forward(self, batch: Mapping[str, Tensor]) -> Features:
        """Embeddings of planar images, each position by itself.

        Args:
            batch: `image` (B, C, T, L), `clear` and `dates` of the contract are used.

        Returns:
            Embedding (B, 128) and pixels (B, L, 128).
        """
        image, clear, dates = curve(batch, self.in_channels)
        start = main_year(dates, clear.any(-1))
        month = ((dates - start[:, None]).float() / _MONTH_DAYS).floor().long()
        within = functional.one_hot(month.clamp(0, _MONTHS - 1), _MONTHS).to(image.dtype)
        within = within * ((month >= 0) & (month < _MONTHS))[..., None]
        count = torch.einsum("btl,btm->bml", clear.to(image.dtype), within)
        total = torch.einsum("bctl,btm->bcml", image, within)
        middle = torch.arange(_MONTHS, device=dates.device).expand(len(dates), -1)
        months = resample(total / count.clamp(min=1)[:, None], count > 0, middle, middle)
        seen = months.observed
        rows = rearrange(months.values, "b c m l -> b l m c")[shown(seen)]
        return features(self._encode(rows), seen)

    def _encode(self, months: Tensor) -> Tensor:
        """(N, 12, 10) reflectance → (N, 128)."""
        red, infrared = months[..., _RED], months[..., _NEAR_INFRARED]
        total = infrared + red
        ndvi = (infrared - red) / torch.where(total.abs() > 1e-6, total, 1)
        values = months.new_zeros(len(months), _MONTHS, _CHANNELS)
        values[..., _FIRST : _FIRST + self.in_channels] = months
        values[..., _NDVI] = ndvi
        hidden: Tensor = self.hidden  # type: ignore[assignment]
        place = months.new_tensor(self.latlon).expand(len(months), 2)
        cover = torch.full((len(months), _MONTHS), _NO_CLASS, device=months.device)
        tokens, _, _ = self.encoder(values, cover, place, hidden.expand_as(values), 0)
        vectors: Tensor = self.norm(tokens.mean(1))
        return vectors
