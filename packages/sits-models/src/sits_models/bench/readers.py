"""Readers: simple classifiers that say how much of the classes a set of features holds.

All take standardised copies of the same features, choose their one setting on inner folds that keep
spatial blocks together, and see the test samples only to name them.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from sits_models.bench.metrics import macro_f1

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse regularisation C of the linear reader, as scikit-learn counts it, weak models first."""
ALPHAS = (1.0, 10.0, 100.0, 1000.0)
LEAVES = (1, 5)
TREES, INNER_TREES = 200, 50
INNER_FOLDS = 3
ENOUGH = 20_000
"""With so many held-out samples one inner fold tells as much as three."""

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
Names = Callable[[Tensor], Tensor]
"""Features (M, D) → labels (M,) int64."""


class Reader(Protocol):
    """What every reader takes and gives.

    Args:
        train_x: (N, D) float32.
        train_y: (N,) int64 labels 0 … K-1; a class may be missing.
        test_x: (M, D) float32.
        groups: (N,) int64 spatial block of each training sample, for the inner folds; None: each
            sample its own.

    Returns:
        (M,) int64 labels.
    """

    def __call__(
        self, train_x: Tensor, train_y: Tensor, test_x: Tensor, *, groups: Tensor | None = None
    ) -> Tensor:
        """Learn from the training samples and name the test samples."""


def knn(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, *, groups: Tensor | None = None, k: int = 5
) -> Tensor:
    """The class of most of the k training samples of greatest cosine similarity.

    Equal votes go to the class with the greater sum of similarities. There is nothing to choose, so
    `groups` is not used. See `Reader` for shapes.
    """
    del groups
    mean, std = _moments(train_x)
    train = functional.normalize((train_x - mean) / std).T.contiguous()  # a fifth faster than a view
    classes, k = int(train_y.max()) + 1, min(k, len(train_x))
    found = []
    for start in range(0, len(test_x), 512):  # bounds the similarities to 512 × N
        chunk = test_x[start : start + 512]
        similarity = functional.normalize((chunk - mean) / std) @ train
        nearest = similarity.topk(k, sorted=False)
        votes = similarity.new_zeros(len(chunk), classes)
        votes.scatter_add_(1, train_y[nearest.indices], 1 + 1e-3 * nearest.values)
        found.append(votes.argmax(1))
    return torch.cat(found) if found else train_y.new_zeros(0)


def linear(train_x: Tensor, train_y: Tensor, test_x: Tensor, *, groups: Tensor | None = None) -> Tensor:
    """Multinomial logistic regression; see `Reader` for shapes and `fit_linear` for the fit."""
    classes = int(train_y.max()) + 1
    head = fit_linear(train_x, train_y, classes=classes, groups=groups)
    return named_by(head, test_x)


def named_by(head: nn.Linear, features: Tensor) -> Tensor:
    """The class of greatest score: (M, D) features → (M,) int64."""
    with torch.no_grad():
        scores: Tensor = head(features)
    return scores.argmax(1)


def fit_linear(x: Tensor, y: Tensor, *, classes: int, groups: Tensor | None = None) -> nn.Linear:
    """Multinomial logistic regression by L-BFGS, C chosen on inner folds by macro-F1.

    Args:
        x: (N, D) float32 features as they are: they are standardised for the fit, and the head that
            is returned has this folded in.
        y: (N,) int64 labels 0 … K-1.
        classes: K; a class that `y` lacks is never predicted.
        groups: (N,) int64 spatial blocks, see `Reader`.

    Returns:
        A layer D → K on features as they are.
    """
    mean, std = _moments(x)
    scaled = (x - mean) / std
    scores = np.zeros(len(STRENGTHS))
    for train, test in _inner_folds(y, groups):
        for number, weight in enumerate(_logistic_path(scaled[train], y[train], classes, STRENGTHS)):
            predicted = (scaled[test] @ weight[:-1] + weight[-1]).argmax(1)
            scores[number] += macro_f1(y[test].numpy(), predicted.numpy(), classes)
    (weight,) = _logistic_path(scaled, y, classes, [_best(STRENGTHS, scores)])
    slope, bias = weight[:-1] / std[:, None], weight[-1] - (mean / std) @ weight[:-1]
    # Draws nothing from the global generator.
    head: nn.Linear = skip_init(nn.Linear, x.shape[1], classes)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.copy_(slope.T)
        head.bias.copy_(bias)
    return head.requires_grad_(False)


def ridge(train_x: Tensor, train_y: Tensor, test_x: Tensor, *, groups: Tensor | None = None) -> Tensor:
    """Ridge regression on one-hot classes, alpha chosen on inner folds; see `Reader` for shapes."""

    def fit(alpha: float, x: Tensor, y: Tensor) -> Names:
        return _sklearn(RidgeClassifier(alpha=alpha), x, y)

    mean, std = _moments(train_x)
    chosen = _choose(ALPHAS, fit, (train_x - mean) / std, train_y, groups)
    return fit(chosen, (train_x - mean) / std, train_y)((test_x - mean) / std)


def random_forest(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, *, groups: Tensor | None = None
) -> Tensor:
    """200 trees, smallest leaf chosen on inner folds with 50; see `Reader` for shapes."""

    def fit(leaf: int, x: Tensor, y: Tensor, trees: int = INNER_TREES) -> Names:
        forest = RandomForestClassifier(trees, min_samples_leaf=leaf, random_state=0, n_jobs=-1)
        return _sklearn(forest, x, y)

    chosen = _choose(LEAVES, fit, train_x, train_y, groups)
    return fit(chosen, train_x, train_y, trees=TREES)(test_x)


READERS: dict[str, Reader] = {
    "kNN": knn, "linear": linear, "ridge": ridge, "random forest": random_forest,
}  # fmt: skip
"""By their names, what reads vectors; `rocket.mini_rocket` reads series."""


def _choose[S](
    settings: Sequence[S],
    fit: Callable[[S, Tensor, Tensor], Names],
    x: Tensor,
    y: Tensor,
    groups: Tensor | None,
) -> S:
    """The setting of greatest macro-F1 over the inner folds."""
    scores = np.zeros(len(settings))
    classes = int(y.max()) + 1
    for train, test in _inner_folds(y, groups):
        for number, setting in enumerate(settings):
            predicted = fit(setting, x[train], y[train])(x[test])
            scores[number] += macro_f1(y[test].numpy(), predicted.numpy(), classes)
    return _best(settings, scores)


def _best[S](settings: Sequence[S], scores: NDArray[np.float64]) -> S:
    """Without any inner fold all scores are equal: then the middle one."""
    number = int(scores.argmax()) if scores.any() else len(settings) // 2
    return settings[number]


def _inner_folds(y: Tensor, groups: Tensor | None) -> list[Fold]:
    """Folds that keep groups together; those that would leave one class to train on are left out."""
    labels = y.numpy()
    together = np.arange(len(labels)) if groups is None else groups.numpy()
    count = min(INNER_FOLDS, len(np.unique(together)))
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # Rare classes cannot be in every fold; macro-F1 averages over those that are.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        try:
            folds = list(splitter.split(labels, labels, together))
        except ValueError:  # every class has fewer members than there are folds
            return []
    usable = [(train, test) for train, test in folds if len(test) and len(np.unique(labels[train])) > 1]
    return usable[:1] if usable and len(usable[0][1]) >= ENOUGH else usable


def _sklearn(model: Any, x: Tensor, y: Tensor) -> Names:
    model.fit(x.numpy(), y.numpy())
    return lambda features: torch.from_numpy(model.predict(features.numpy()).astype(np.int64))


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of features; 1 where a feature never changes."""
    std, mean = torch.std_mean(x, 0, correction=0)
    return mean, torch.where(std > 1e-6 * (1 + mean.abs()), std, 1)


def _logistic_path(x: Tensor, y: Tensor, classes: int, strengths: Sequence[float]) -> Iterator[Tensor]:
    """For each C the least of mean cross-entropy + ‖slopes‖² / (2 C N): (D + 1, K), last the bias.

    Solved along the principal axes of x, each scaled by the curvature that the loss has there: the
    optimum is the same, and L-BFGS needs a tenth of the steps where features are correlated. Each fit
    starts where the one before ended.
    """
    variance, axes = torch.linalg.eigh(x.T @ x / len(x))
    x = x @ axes
    absent = torch.bincount(y, minlength=classes) == 0
    barred = torch.where(absent, -1e4, 0.0)  # what nobody showed cannot be named
    slope, bias = x.new_zeros(x.shape[1], classes), x.new_zeros(classes)
    for strength in strengths:
        penalty = 1 / (strength * len(x))
        unit = (0.1 * variance.clamp(min=0) + penalty).rsqrt()[:, None]
        slope, bias = _descend(x, y, slope, bias + barred, unit, penalty)
        bias = torch.where(absent, 0, bias)
        yield torch.cat([axes @ slope, (bias + barred)[None]])


def _descend(
    x: Tensor, y: Tensor, slope: Tensor, bias: Tensor, unit: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """L-BFGS on slopes in steps of `unit` (D, 1); all tensors without gradients again."""
    free, bias = (slope / unit).requires_grad_(), bias.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [free, bias], max_iter=100, tolerance_grad=1e-4, tolerance_change=1e-6, history_size=10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        solver.zero_grad()
        slope = unit * free
        value = functional.cross_entropy(torch.addmm(bias, x, slope), y)
        value = value + penalty / 2 * slope.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    return unit * free.detach(), bias.detach()
