import numpy as np
import pytest
from numpy.typing import NDArray

from sits_data.errors import InvalidRequest
from sits_models.bench.intervals import FEWEST, difference, interval, sums_by_block
from sits_models.bench.metrics import (
    calibration_counts,
    calibration_error,
    change_f1,
    kappa,
    mean_f1,
    overall_accuracy,
)

CLASSES, SAMPLES = 4, 10


def judged(
    draws: np.random.Generator, blocks: int, accuracy: float, alike: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two models on the same samples, (G, K, K) each; the second has the accuracy of the first - 0.1.

    The chance that a sample is named right is the same inside a block, and drawn for each so that
    samples of a block correlate by `alike`.
    """
    strength = (1 - alike) / alike if alike else np.inf
    chance = (
        draws.beta(accuracy * strength, (1 - accuracy) * strength, blocks)
        if alike
        else np.full(blocks, accuracy)
    )
    true = draws.integers(0, CLASSES, (blocks, SAMPLES))
    wrong = (true + draws.integers(1, CLASSES, true.shape)) % CLASSES
    right = draws.random(true.shape) < chance[:, None]
    still = right & (draws.random(true.shape) < 1 - 0.1 / accuracy)
    block = np.repeat(np.arange(blocks), SAMPLES)
    one, other = (
        sums_by_block(block, true.ravel(), np.where(hit, true, wrong).ravel(), CLASSES)
        for hit in (right, still)
    )
    return one, other


@pytest.mark.parametrize(
    ("blocks", "accuracy", "alike"),
    [(20, 0.6, 0.2), (20, 0.8, 0.0), (20, 0.8, 0.5), (50, 0.95, 0.2), (100, 0.8, 0.2)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    blocks: int, accuracy: float, alike: float
) -> None:
    draws, trials = np.random.default_rng(4), 2000
    held = np.zeros(4)
    for trial in range(trials):
        one, other = judged(draws, blocks, accuracy, alike)
        found = [
            interval(one[None], overall_accuracy, seed=trial, draws=200),
            interval(one[None], mean_f1, seed=trial, draws=200),
            interval(one[None], kappa, seed=trial, draws=200, least=-1),
            difference(one[None], other[None], overall_accuracy, seed=trial, draws=200),
        ]
        chance = 1 / CLASSES
        truth = accuracy, accuracy, (accuracy - chance) / (1 - chance), 0.1
        held += [one.low <= value <= one.high for one, value in zip(found, truth, strict=True)]
    assert (held / trials >= 0.925).all(), held / trials
    assert (held / trials <= 0.985).all(), held / trials


def test_a_model_is_as_good_as_itself() -> None:
    one, other = judged(np.random.default_rng(0), 30, 0.7, 0.2)
    same = difference(one[None], one[None], mean_f1, seed=1)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert not same.excludes_zero
    apart = difference(one[None], other[None], mean_f1, seed=1)
    back = difference(other[None], one[None], mean_f1, seed=1)
    assert apart.excludes_zero
    assert (apart.low, apart.high) == pytest.approx((-back.high, -back.low))


def test_pairs_tell_more_than_two_intervals() -> None:
    """Both models fail in the same blocks."""
    one, other = judged(np.random.default_rng(3), 40, 0.7, 0.5)
    apart = difference(one[None], other[None], overall_accuracy, seed=1)
    alone = [interval(sums[None], overall_accuracy, seed=1) for sums in (one, other)]
    assert apart.excludes_zero
    assert alone[0].low < alone[1].high
    assert apart.high - apart.low < 0.7 * (alone[0].high - alone[0].low)


def test_seeds_share_their_blocks() -> None:
    one, other = judged(np.random.default_rng(5), 30, 0.7, 0.2)
    both = np.stack([one, other])
    found = interval(both, overall_accuracy, seed=0)
    expected = np.mean([overall_accuracy(sums.sum(0)) for sums in both])
    assert found.value == pytest.approx(expected)
    twice = interval(np.stack([one, one]), overall_accuracy, seed=0)
    once = interval(one[None], overall_accuracy, seed=0)
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


def test_the_seed_decides() -> None:
    one, _ = judged(np.random.default_rng(5), 30, 0.7, 0.2)
    found = [interval(one[None], mean_f1, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_blocks_by_hand() -> None:
    sums = sums_by_block(np.array([0, 2, 2]), np.array([1, 0, 0]), np.array([1, 1, 0]), 2)
    assert sums.tolist() == [[[0, 0], [0, 1]], [[0, 0], [0, 0]], [[1, 1], [0, 0]]]


def test_few_blocks_have_no_interval() -> None:
    one, other = judged(np.random.default_rng(5), FEWEST - 1, 0.7, 0.2)
    found = interval(one[None], mean_f1, seed=0)
    assert np.isnan([found.low, found.high]).all()
    assert str(found).endswith("[too few blocks]")
    assert not difference(one[None], other[None], mean_f1, seed=0).excludes_zero


def test_kappa_may_be_worse_than_chance() -> None:
    wrong = np.zeros((1, 20, 2, 2), np.int64)
    wrong[0, :, [0, 1], [1, 0]] = 5
    wrong[0, ::4, 0, 0] = 2
    found = interval(wrong, kappa, seed=0, least=-1)
    assert found.value == pytest.approx(float(kappa(wrong.sum((0, 1)))))
    assert -1 < found.low < found.value < found.high < 0
    one = interval(1 + wrong[:, :, ::-1], kappa, seed=0, least=-1)
    assert 0 < one.low < one.value < one.high < 1


def test_no_figure_has_no_interval() -> None:
    nothing = np.zeros((2, 20, 2, 2), np.int64)
    nothing[..., 0, 0] = 5
    assert np.isnan(interval(nothing, change_f1, seed=0).value)


def test_what_never_failed_may_still_fail() -> None:
    perfect = np.zeros((1, 20, 2, 2), np.int64)
    perfect[..., [0, 1], [0, 1]] = 5
    found = interval(perfect, overall_accuracy, seed=0)
    assert found.high == 1
    assert found.low == pytest.approx(0.025 ** (1 / 20))
    nothing = interval(perfect[..., ::-1], overall_accuracy, seed=0)
    assert (nothing.low, nothing.high) == (0, pytest.approx(1 - 0.025 ** (1 / 20)))


def test_whatever_adds_up_can_be_drawn() -> None:
    draws = np.random.default_rng(0)
    true = draws.integers(0, 3, (30, 20))
    chances = draws.dirichlet(np.ones(3) / 3, (30, 20))
    counts = np.stack([calibration_counts(*pair) for pair in zip(true, chances, strict=True)])
    found = interval(counts[None], calibration_error, seed=0)
    everybody = calibration_counts(true.ravel(), chances.reshape(-1, 3))
    assert found.value == pytest.approx(float(calibration_error(everybody)))
    assert 0 < found.low < found.value < found.high < 1


@pytest.mark.parametrize(("settings", "message"), [
    ({"level": 1.0}, "level between 0 and 1 and 100 draws or more, got 1.0 and 1000"),
    ({"draws": 10}, "got 0.95 and 10"),
])  # fmt: skip
def test_intervals_that_cannot_be(settings: dict[str, float], message: str) -> None:
    one, _ = judged(np.random.default_rng(5), 30, 0.7, 0.2)
    with pytest.raises(InvalidRequest, match=message):
        interval(one[None], mean_f1, seed=0, **settings)  # type: ignore[arg-type]


def test_models_must_share_their_blocks() -> None:
    one, _ = judged(np.random.default_rng(5), 30, 0.7, 0.2)
    with pytest.raises(InvalidRequest, match="on the same blocks, got 30 and 20"):
        difference(one[None], one[None, :20], mean_f1, seed=0)
