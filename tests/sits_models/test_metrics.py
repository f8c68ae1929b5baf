import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, jaccard_score
from torchmetrics.functional.classification import multiclass_calibration_error

from sits_models.bench.metrics import (
    calibration_counts,
    calibration_error,
    change_f1,
    class_f1,
    class_iou,
    confusion_matrix,
    kappa,
    mean_f1,
    mean_iou,
    overall_accuracy,
)

BY_HAND = np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]])


def test_by_hand() -> None:
    assert overall_accuracy(BY_HAND) == 5 / 8
    np.testing.assert_allclose(class_f1(BY_HAND), [6 / 9, 4 / 7, np.nan])
    assert mean_f1(BY_HAND) == pytest.approx((6 / 9 + 4 / 7) / 2)
    np.testing.assert_allclose(class_iou(BY_HAND), [3 / 6, 2 / 5, np.nan])
    assert mean_iou(BY_HAND) == pytest.approx(0.45)
    # By chance 4/8 * 5/8 + 4/8 * 3/8 agree.
    assert kappa(BY_HAND) == pytest.approx((5 / 8 - 1 / 2) / (1 - 1 / 2))
    # One alarm too many, two changes missed, two found: 2 * 2 / (2 * 2 + 2 + 1).
    assert change_f1(BY_HAND) == pytest.approx(4 / 7)
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]])
    counts = calibration_counts(np.array([0, 1, 1, 1]), chances, bins=2)
    assert counts.tolist() == [[0, 0, 0], [4, 3, pytest.approx(2.95)]]
    assert calibration_error(counts) == pytest.approx(0.05 / 4)


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 6))
def test_agree_with_others(seed: int, classes: int) -> None:
    draws = np.random.default_rng(seed)
    true, named = draws.integers(0, classes, (2, 50))
    confusion, known = confusion_matrix(true, named, classes), np.unique(true)
    assert overall_accuracy(confusion) == pytest.approx(accuracy_score(true, named))
    assert kappa(confusion) == pytest.approx(cohen_kappa_score(true, named))
    averaged = {"labels": known, "average": "macro", "zero_division": 0}
    assert mean_f1(confusion) == pytest.approx(f1_score(true, named, **averaged))
    assert mean_iou(confusion) == pytest.approx(jaccard_score(true, named, **averaged))
    changed = f1_score(true > 0, named > 0, zero_division=0)
    assert change_f1(confusion) == pytest.approx(changed)
    chances = draws.dirichlet(np.ones(classes), 50)
    expected = multiclass_calibration_error(
        torch.from_numpy(chances), torch.from_numpy(true), classes, n_bins=15, norm="l1"
    )
    found = calibration_error(calibration_counts(true, chances))
    assert found == pytest.approx(float(expected), abs=1e-5)


@given(seed=st.integers(0, 1000))
def test_many_matrices_at_once_are_each_by_itself(seed: int) -> None:
    confusions = np.random.default_rng(seed).integers(0, 5, (2, 3, 4, 4))
    for metric in (overall_accuracy, mean_f1, mean_iou, kappa, change_f1):
        together = metric(confusions)
        assert together.shape == (2, 3)
        for place in np.ndindex(2, 3):
            np.testing.assert_allclose(together[place], metric(confusions[place]))


def test_nothing_to_judge_is_no_figure() -> None:
    nothing = np.zeros((3, 3), np.int64)
    for metric in (overall_accuracy, mean_f1, mean_iou, kappa, change_f1):
        assert np.isnan(metric(nothing))
    assert np.isnan(calibration_error(np.zeros((15, 3))))
