"""Figures of merit as functions of counts, so that a bootstrap draws counts and not predictions.

A confusion matrix is (…, K, K), true class × named class; leading axes are draws, seeds or blocks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Of the probability of the named class, for the calibration error."""

Counts = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]
Figures = NDArray[np.float64]


def confusion_matrix(true: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Counts of (true, predicted) pairs.

    Args:
        true: (N,) labels 0 … K-1.
        predicted: (N,) labels 0 … K-1.
        classes: K.

    Returns:
        (K, K) int64, true × predicted.
    """
    pairs = true.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def overall_accuracy(confusion: Counts) -> Figures:
    """The share of samples that are named right: (…,)."""
    return _ratio(_hits(confusion).sum(-1), confusion.sum((-2, -1)))


def class_f1(confusion: Counts) -> Figures:
    """F1 of each class, 2 TP / (true + predicted): (…, K), NaN where the class does not occur.

    >>> class_f1(np.array([[3, 1], [0, 0]]))
    array([0.85714286,        nan])
    """
    occurs, named = confusion.sum(-1), confusion.sum(-2)
    return np.where(occurs > 0, _ratio(2.0 * _hits(confusion), occurs + named), np.nan)


def mean_f1(confusion: Counts) -> Figures:
    """Macro-F1: the mean over the classes that occur, (…,)."""
    return _mean(class_f1(confusion))


def macro_f1(true: NDArray[Any], predicted: NDArray[Any], classes: int) -> float:
    """Mean F1 of the classes that occur in `true`, (N,) labels both.

    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    0.6666666666666666
    """
    return float(mean_f1(confusion_matrix(true, predicted, classes)))


def class_iou(confusion: Counts) -> Figures:
    """Intersection over union of each class: (…, K), NaN where the class does not occur."""
    occurs, named, hits = confusion.sum(-1), confusion.sum(-2), _hits(confusion)
    return np.where(occurs > 0, _ratio(hits, occurs + named - hits), np.nan)


def mean_iou(confusion: Counts) -> Figures:
    """The mean over the classes that occur, (…,)."""
    return _mean(class_iou(confusion))


def kappa(confusion: Counts) -> Figures:
    """Cohen's kappa, agreement beyond chance: (…,), NaN where chance alone agrees always."""
    total = confusion.sum((-2, -1))
    agreed = _ratio(_hits(confusion).sum(-1), total)
    chance = _ratio((confusion.sum(-1) * 1.0 * confusion.sum(-2)).sum(-1), total * 1.0 * total)
    return _ratio(agreed - chance, 1 - chance)


def change_f1(confusion: Counts) -> Figures:
    """F1 of "changed" against class 0, unchanged: every other class counts as changed, (…,)."""
    unchanged = confusion[..., 0, 0]
    missed, alarmed = confusion[..., 1:, 0].sum(-1), confusion[..., 0, 1:].sum(-1)
    found = confusion.sum((-2, -1)) - unchanged - missed - alarmed
    return _ratio(2.0 * found, 2 * found + missed + alarmed)


def calibration_counts(
    true: NDArray[Any], chances: NDArray[np.floating[Any]], *, bins: int = BINS
) -> Figures:
    """What `calibration_error` is made of.

    Args:
        true: (N,) labels 0 … K-1.
        chances: (N, K) probabilities.
        bins: of equal width, B.

    Returns:
        (B, 3) float64: samples, those named right, and the sum of the probabilities of the named class.
    """
    top, right = chances.max(1), chances.argmax(1) == true
    number = np.minimum((top * bins).astype(np.int64), bins - 1)
    return np.stack(
        [np.bincount(number, weights=one, minlength=bins) for one in (np.ones_like(top), right, top)],
        axis=-1,
    )


def calibration_error(counts: Figures) -> Figures:
    """Expected calibration error: how far probabilities are from the share of right ones, (…,).

    Args:
        counts: (…, B, 3) of `calibration_counts`.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    apart = np.abs(counts[..., 1] - counts[..., 2]).sum(-1)
    return _ratio(apart, counts[..., 0].sum(-1))


def _hits(confusion: Counts) -> NDArray[Any]:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Figures:
    """NaN where the whole is 0."""
    ratio: Figures = np.divide(
        part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) != 0
    )
    return ratio


def _mean(each: Figures) -> Figures:
    """Over the last axis, leaving out NaN; NaN where there is nothing else."""
    known = ~np.isnan(each)
    return _ratio(np.where(known, each, 0).sum(-1), known.sum(-1))
