"""Normalisation by what was seen: what is not clear, or pads a batch, is in no mean and no variance."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional


class BatchNorm(nn.BatchNorm1d):
    """Batch norm of rows that takes its running statistics where there are fewer than two values."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise (N, D) or (N, D, S) for each of D."""
        if self.training and input.numel() < 2 * input.shape[1]:
            mean, var = self.running_mean, self.running_var
            return functional.batch_norm(input, mean, var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


def norm_seen(norm: nn.Module, maps: Tensor, seen: Tensor) -> Tensor:
    """Normalise the seen pixels of maps as rows; the others become 0.

    Args:
        norm: of rows (N, D).
        maps: (B, D, H, W).
        seen: (B, H, W) bool.
    """
    rows = norm(rearrange(maps, "b d h w -> b h w d")[seen])
    full = rows.new_zeros(*seen.shape, maps.shape[1])
    full[seen] = rows
    result: Tensor = rearrange(full, "b h w d -> b d h w")
    return result


class SeenGroupNorm(nn.Module):
    """Group norm over the seen places of each sample; the others become 0.

    Equals `torch.nn.GroupNorm`, weights and all, where everything was seen.

    Args:
        groups: of channels.
        channels: D, a multiple of `groups`.
        eps: added to the variance.

    Source: Wu and He, Group Normalization, ECCV 2018.
    """

    def __init__(self, groups: int, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor, seen: Tensor) -> Tensor:
        """Normalise.

        Args:
            values: (N, D, …).
            seen: (N, …) bool.

        Returns:
            (N, D, …).
        """
        grouped = values.reshape(len(values), self.groups, -1, seen[0].numel())  # (N, G, D / G, S)
        weight = seen.reshape(len(seen), 1, 1, -1).to(grouped.dtype)
        count = (weight.sum(-1, keepdim=True) * grouped.shape[2]).clamp(min=1)
        centred = (grouped - (grouped * weight).sum((2, 3), keepdim=True) / count) * weight
        spread = centred.square().sum((2, 3), keepdim=True) / count
        normed = (centred * (spread + self.eps).rsqrt()).view_as(values)
        scale, shift = (
            one.view(-1, *[1] * (values.ndim - 2)) for one in (self.weight, self.bias)
        )  # (D, 1, …)
        return (normed * scale + shift) * seen[:, None]
