"""The judge: cells that are kept, floors that come by themselves, rows that can be made again."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from sits_models.bench.cells import load_cell
from sits_models.bench.design import Design
from sits_models.bench.metrics import confusion_matrix, mean_f1
from sits_models.bench.problem import Fold, Problem, pose
from sits_models.cli import main
from sits_models.data.residence import open_table
from sits_models.data.stores import open_one
from sits_models.errors import InvalidConfig, LeakyFolds
from sits_models.judge.cells import Key
from sits_models.judge.config import read_config
from sits_models.judge.leaks import check_leaks

FLOORS = {
    "majority class", "raw features, kNN", "raw features, linear", "raw features, ridge",
    "raw features, random forest", "raw features, MiniRocket",
    "tiny, random-init, kNN", "tiny, random-init, linear",
}  # fmt: skip


@pytest.fixture(scope="module")
def config(parcels: Path, pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bench") / "small.yaml"
    told = {
        "stores": [str(parcels)],
        "entries": [
            {"name": "tiny", "checkpoint": str(pretrained), "readers": ["kNN", "linear"]},
            {"name": "net", "backbone": "ltae", "settings": {"data.length": 4}},
        ],
        "budgets": ["3 shots", "all"],
        "seeds": 2,
        "folds": 3,
        "gap_m": 0,
        "settings": {"trainer.max_steps": 1, "data.dates": 3},
        "draws": 200,
    }
    file.write_text(yaml.safe_dump(told))
    return file


@pytest.fixture(scope="module")
def bench(config: Path) -> tuple[Path, Result]:
    out = config.parent / "out"
    return out, run(config, "--out", out, "--json")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, words)])


def test_every_model_stands_beside_every_floor(bench: tuple[Path, Result], parcels: Path) -> None:
    out, done = bench
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)
    assert json.loads((out / "bench.json").read_text())["rows"] == rows
    assert {(row["budget"], row["entry"], row["reader"]) for row in rows if not row["floor"]} == {
        (budget, *model)
        for budget in ("3 shots", "all")
        for model in (("tiny", "kNN"), ("tiny", "linear"), ("net", "fine-tuned"))
    }
    labelled = (open_one(parcels).labels >= 0).sum()
    for row in rows:
        assert row["samples"] == labelled
        assert (row["seeds"], len(row["by_seed"]), len(row["cells"])) == (2, 2, 2)
        assert set(row["above"]) == (set() if row["floor"] else FLOORS)
        assert row["macro_f1"]["low"] <= row["macro_f1"]["value"] <= row["macro_f1"]["high"]
        assert (row["ece"] is not None) == (row["reader"] in ("linear", "fine-tuned"))
    told = json.loads((out / "bench.json").read_text())
    manifest = hashlib.sha256((parcels / "manifest.json").read_bytes()).hexdigest()
    assert told["data"] == {str(parcels): manifest[:16]}
    assert len(told["code"]) == 16
    assert all(row["seconds"] > 0 for row in rows if row["reader"] == "fine-tuned")
    notes = told["notes"]
    assert notes == ["tiny on parcels.planar: pretraining saw the pixels of this store, those of test "
                     "regions too, but no labels"]  # fmt: skip
    assert "raw features, ridge (floor)" in (out / "table.md").read_text()
    assert (out / "table.png").read_bytes()[:4] == b"\x89PNG"


def test_figures_are_those_of_the_cells(bench: tuple[Path, Result]) -> None:
    out, done = bench
    for row in json.loads(done.stdout):
        for file, figure in zip(row["cells"], row["by_seed"], strict=True):
            cell = load_cell(out / "cells" / file)
            assert cell is not None
            assert len(np.unique(cell.sample)) == len(cell.sample)
            confusion = confusion_matrix(cell.true, cell.named, 11)
            assert float(mean_f1(confusion)) == pytest.approx(figure)
            if cell.chances.shape[1]:
                np.testing.assert_allclose(cell.chances.sum(1), 1, atol=0.01)


def test_a_stopped_bench_goes_on(bench: tuple[Path, Result], config: Path, tmp_path: Path) -> None:
    out, done = bench
    files = sorted((out / "cells").iterdir())
    before = {file: file.stat().st_mtime_ns for file in files}
    gone = [file for file in files if "ridge" in file.name][:1]
    gone[0].unlink()
    again = run(config, "--out", out)
    assert "1 cells filled, " in again.stdout
    assert json.loads((out / "bench.json").read_text())["rows"][0].keys()
    changed = [file for file in files if file.stat().st_mtime_ns != before[file]]
    assert changed == gone
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in found]
        for found in (json.loads(done.stdout), json.loads((out / "bench.json").read_text())["rows"])
    ]
    assert rows[0] == rows[1]


def test_other_settings_are_other_cells(config: Path, bench: tuple[Path, Result]) -> None:
    asked = read_config(config)
    made = {"design": 1, "code": "a", "data": "b"}
    key = Key("s", "net", "fine-tuned", "all", 0, made)
    others = [
        replace(key, seed=1), replace(key, budget="5 shots"), replace(key, made={**made, "code": "c"}),
        replace(key, made={**made, "settings": {"model.lr": 1}}),
    ]  # fmt: skip
    assert len({one.file for one in (key, *others)}) == 5
    assert replace(key, store="elsewhere/s").file == key.file  # a folder may be moved
    assert asked.design("10 %", 3) == Design(folds=3, gap_m=0, fraction=0.1, seed=3)
    assert asked.design("5 shots", 0).shots == 5


def test_a_row_can_be_made_again(config: Path, bench: tuple[Path, Result]) -> None:
    out, _ = bench
    done = run(config, "--out", out, "--reproduce", "tiny, linear")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("tiny, linear: all ")
    file = next(one for one in (out / "cells").iterdir() if one.name.startswith("parcels-tiny-kNN"))
    kept = file.read_bytes()
    cell = load_cell(file)
    assert cell is not None
    cell.named[:2] = (cell.named[:2] + 1) % 11
    with file.open("wb") as opened:
        np.savez_compressed(opened, **cell._asdict())
    done = run(config, "--out", out, "--reproduce", "tiny, kNN")
    assert done.exit_code == 1
    assert "names 2 of" in done.stderr
    file.write_bytes(kept[:100])
    done = run(config, "--out", out)
    assert done.exit_code == 1
    assert "is damaged; remove it" in done.stderr
    file.write_bytes(kept)
    done = run(config, "--out", out, "--reproduce", "nobody")
    assert (done.exit_code, "no row is called 'nobody'; there are majority" in done.stderr) == (2, True)


def posed(parcels: Path, **design: Any) -> Problem:
    store = open_one(parcels)
    return pose(store, open_table(store), Design(**{"folds": 3, "gap_m": 30.0, **design}))


def test_honest_folds_pass(parcels: Path) -> None:
    check_leaks(posed(parcels))


def test_leaks_fail_the_run(parcels: Path) -> None:
    problem = posed(parcels)
    fold = problem.folds[0]

    def with_fold(train: Any) -> Problem:
        return replace(problem, folds=(Fold(1, np.sort(train), fold.test),))

    with pytest.raises(LeakyFolds, match=r"fold 1 of .*: regions \d+ train and test"):
        check_leaks(with_fold(np.append(fold.train, fold.test[0])))
    # One region of the block that tests moves over to those that train.
    moved = replace(problem, folds=(Fold(1, np.append(fold.train, fold.test[-1]), fold.test[:-1]),))
    with pytest.raises(LeakyFolds, match=r"blocks of the ground are on both sides|nearer than 30 m"):
        check_leaks(moved)
    # A split that was cut without a gap does not pass as one with a gap.
    wide = posed(parcels, gap_m=0.0)
    said = replace(wide, splits=tuple(replace(one, gap_m=200.0) for one in wide.splits))
    with pytest.raises(LeakyFolds, match="training regions are nearer than 200 m"):
        check_leaks(said)
    table = replace(problem.table, yx=problem.table.yx.clone())
    first = problem.table.first_row
    ours, theirs = (int(first[problem.items.regions[side[0]]]) for side in (fold.train, fold.test))
    table.yx[ours] = table.yx[theirs]
    with pytest.raises(LeakyFolds, match="1 pixels lie in regions of both sides"):
        check_leaks(replace(problem, table=table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stores": []}, "stores: Tuple should have at least 1 item"),
        ({"entries": [{"name": "a"}]}, "a needs either a checkpoint, or a backbone or recipe"),
        (
            {"entries": [{"name": "a", "backbone": "ltae", "checkpoint": "x"}]},
            "needs either a checkpoint",
        ),
        (
            {"entries": [{"name": "a", "backbone": "ltae", "readers": ["kNN"]}]},
            "only reader is fine-tuned",
        ),
        ({"entries": [{"name": "a", "recipe": "pie"}]}, "no recipe is called pie; there are deepstar"),
        ({"entries": [{"name": "a/b", "backbone": "ltae"}]}, "entries.0.name: String should match"),
        ({"entries": [{"name": "a", "backbone": "ltae"}] * 2}, "names of their own, got a, a"),
        ({"budgets": ["some"]}, "a budget is all, 5 shots or 10 %, got some"),
        ({"budgets": ["0 shots"]}, "got 0 shots"),
        ({"seeds": 0}, "seeds: Input should be greater than or equal to 1"),
        ({"shots": 5}, "shots: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_judged(
    config: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | change))
    with pytest.raises(InvalidConfig, match=r"other\.yaml: ") as raised:
        read_config(file)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["a: [1,", "\x00", None])
def test_files_that_are_no_yaml(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "bench.yaml"
    if text is not None:
        file.write_text(text)
    done = run(file, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "a bench is described by a YAML file" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stores": ["nowhere.planar"]}, "nowhere.planar is not a planar store"),
        ({"entries": [{"name": "a", "checkpoint": "nowhere"}]}, "nowhere has no card.json"),
    ],
)
def test_what_is_not_there(config: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | change))
    done = run(file, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
