import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from sits_data.manifest import LabelClass
from sits_models.bench.metrics import class_f1, confusion_matrix, macro_f1
from sits_models.bench.scores import (
    FoldScore,
    Row,
    Scores,
    class_names,
    compare,
    judge,
    table,
    verdict,
)

CLASSES = (
    LabelClass(code=1, name="Wheat", colour="#d8b548"),
    LabelClass(code=2, name="Maize", colour="#e2e052"),
    LabelClass(code=3, name="Grass", colour="#a5d75b"),
)


def row(name: str, *values: float, reader: str = "kNN", floor: bool = True) -> Row:
    folds = tuple(
        FoldScore(fold=number, macro_f1=value, oa=value, f1={"Wheat": value}, train=8, test=2)
        for number, value in enumerate(values, start=1)
    )
    return Row(name=name, reader=reader, floor=floor, folds=folds, confusion=[[2, 0, 0]] * 3)


def scores(*rows: Row) -> Scores:
    return Scores(
        task="probe", store="field.planar", unit="region", classes=CLASSES, split="2 folds",
        labels="all", seed=0, rows=rows, seconds=3.2,
    )  # fmt: skip


def test_judge_by_hand() -> None:
    # Wheat: 2 of 3 found, 1 of 3 named wheat is maize: F1 = 2·2 / (3 + 3). Grass occurs nowhere.
    true, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 2, 1, 0])
    score, confusion = judge(true, predicted, CLASSES, fold=3, train=7)
    assert score.f1 == pytest.approx({"Wheat": 4 / 6, "Maize": 2 / 3})
    assert score.macro_f1 == pytest.approx(2 / 3)
    assert score.oa == pytest.approx(3 / 5)
    assert (score.fold, score.train, score.test) == (3, 7, 5)
    np.testing.assert_array_equal(confusion, [[2, 0, 1], [1, 1, 0], [0, 0, 0]])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
)
def test_macro_f1_is_that_of_scikit_learn_over_the_classes_that_occur(
    pairs: list[tuple[int, int]],
) -> None:
    true, predicted = np.array(pairs).T
    expected = f1_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0)
    assert macro_f1(true, predicted, 5) == pytest.approx(expected)
    assert np.isnan(class_f1(confusion_matrix(true, predicted, 6))[5])


def test_compare_counts_ties_and_losses() -> None:
    model, floor = row("pretrained", 0.9, 0.6, 0.503), row("random-init", 0.8, 0.7, 0.5)
    assert compare(model, floor)[:3] == (1, 1, 1)
    assert compare(model, floor).difference == pytest.approx(0.001)


def test_table_holds_each_floor_against_the_model_with_the_same_reader() -> None:
    rows = (
        row("pretrained", 0.8, 0.6, floor=False),
        row("pretrained", 0.9, 0.9, reader="linear", floor=False),
        row("random-init", 0.7, 0.7),
        row("raw features", 0.7, 0.91, reader="ridge"),
    )
    lines = {line[:30].strip(): line for line in table(scores(*rows)).splitlines()}
    assert "0.700 ± 0.141" in lines["pretrained            kNN"]
    assert lines["random-init (floor)   kNN"].endswith("1-0-1")  # 0.8 and 0.6 against 0.7
    assert lines["raw features (floor)  ridge"].endswith("1-0-1")  # the best model: linear
    assert lines["split:   2 folds"]
    assert verdict(scores(*rows)) == "Pretrained, linear is above every floor on average."


def test_verdict_names_what_was_not_beaten() -> None:
    rows = (row("pretrained", 0.6, floor=False), row("raw features", 0.9, reader="random forest"))
    said = "Pretrained, kNN (0.600) does not beat: raw features, random forest 0.900."
    assert verdict(scores(*rows)) == said
    assert said in table(scores(*rows))


def test_one_fold_has_no_spread() -> None:
    assert "±" not in table(scores(row("pretrained", 0.6, floor=False)))


def test_classes_of_one_name_are_told_apart() -> None:
    twice = (*CLASSES[:2], LabelClass(code=9, name="Maize", colour="#000000"))
    assert class_names(twice) == ("Wheat", "Maize (2)", "Maize (9)")


def test_scores_survive_json() -> None:
    made = scores(row("pretrained", 0.25, floor=False))
    assert Scores.model_validate(json.loads(made.model_dump_json())) == made
