"""MiniRocket: ridge on the shares of positive values after very many fixed convolutions of series.

Source: Dempster, Schmidt and Webb, KDD 2021, arXiv 2012.08791, by aeon; of ridge see `readers.ridge`.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sits_models.bench.readers import ridge

KERNELS = 10_000
_SHORTEST = 9  # steps of a kernel
_CHUNK = 4096


def mini_rocket(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, *, groups: Tensor | None = None
) -> Tensor:
    """See `Reader`, but for features, which are series.

    Args:
        train_x: (N, T, F) float32 on regular steps; fewer than 9 are padded with the last one.
        train_y: (N,) int64 labels 0 … K-1.
        test_x: (M, T, F) float32.
        groups: (N,) int64 spatial blocks, for the inner folds of ridge.

    Returns:
        (M,) int64 labels.
    """
    from aeon.transformations.collection.convolution_based import (
        MiniRocket,
    )

    threads = torch.get_num_threads()
    rocket = MiniRocket(KERNELS, random_state=0, n_jobs=1).fit(_series(train_x))

    def shares(x: Tensor) -> Tensor:
        parts = [
            rocket.transform(_series(x[start : start + _CHUNK])) for start in range(0, len(x), _CHUNK)
        ]
        return torch.from_numpy(np.concatenate(parts))

    found = shares(train_x), shares(test_x)
    # Numba gives OpenMP, which torch shares, as many threads as there are cores.
    torch.set_num_threads(threads)
    return ridge(found[0], train_y, found[1], groups=groups)


def _series(x: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(N, F, T), as aeon takes it."""
    missing = max(0, _SHORTEST - x.shape[1])
    return functional.pad(x.transpose(1, 2), (0, missing), mode="replicate").numpy()
