"""Which devices run the Triton kernels."""

from functools import cache
from importlib.util import find_spec

import torch


def runs_kernels(device: torch.device) -> bool:
    """Whether `sits_models.ops.kernels` can be used on a device: a GPU, with Triton installed."""
    return device.type == "cuda" and _has_triton()


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None
