"""Several targets a region: what changed from each period to the next."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import season_means  # noqa: F401
import torch
import yaml
from batches import random_batch
from click.testing import CliRunner, Result

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_models.backbones.siamese import Siamese
from sits_models.bench.floors import apart_by_target
from sits_models.bench.scores import Scores
from sits_models.cli import main
from sits_models.data.datamodule import PlanarDataModule
from sits_models.data.residence import open_table
from sits_models.data.targets import with_targets
from sits_models.judge import judge

BOTH = ["changed_in_2021", "changed"]
PERIODS = "--model.periods=[2021-07-01,2022-01-01]"
EACH = ["--model", "sits_models.tasks.ChangeDetection", "--model.each=true", PERIODS]
TINY = ["--data.folds=2", "--data.gap_m=0", "--data.dates=null", "--model.lr=0.1"]


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_each_target_is_a_sample(changing: Path) -> None:
    data = PlanarDataModule(str(changing), targets=BOTH, folds=2, gap_m=0, batch_size=7)
    data.setup("fit")
    known = open_store(changing).to_geopandas()[BOTH].to_numpy(np.float64)
    place = {int(number): row for row, number in enumerate(data.tables[0].region_id)}
    seen = []
    for loader in (data.train_dataloader(), data.test_dataloader()):
        for regions in loader:
            batch = data.on_after_batch_transfer(regions, 0)
            for region, target, label in zip(
                *(batch[key].tolist() for key in ("region", "target", "label")), strict=True
            ):
                assert label == known[place[region], target]
                seen.append((region, target))
    assert len(set(seen)) == len(seen) == np.isfinite(known).sum()
    train = known[data.train_regions[0]]
    assert data.class_counts().tolist() == [(train == 0).sum(), (train == 1).sum()]
    assert np.isnan(known).sum() == 5


def test_few_labels_are_counted_over_targets(changing: Path) -> None:
    data = PlanarDataModule(str(changing), targets=BOTH, folds=2, gap_m=0, shots=3)
    data.setup("fit")
    assert data.class_counts().tolist() == [3, 3]


@pytest.mark.parametrize("form", ["curve", "chip"])
def test_a_target_is_one_of_all_pairs(form: str) -> None:
    batch: Any = random_batch(4, size=6, dates=12)
    if form == "chip":
        batch["image"] = batch["image"].transpose(1, 2).unflatten(3, (5, 4))
        batch["clear"] = batch["clear"].unflatten(2, (5, 4))
        del batch["index"]
    of = "planar_vit_nano" if form == "curve" else "utae"
    torch.manual_seed(0)
    network = Siamese(4, of=of, periods=["2019-10-01", "2020-05-01"], each=True).eval()
    target = torch.tensor([0, 1, 1, 0, 0, 1])
    with torch.no_grad():
        all_pairs, mine = network(batch), network({**batch, "target": target})
    one = torch.arange(6)
    torch.testing.assert_close(mine.embedding, all_pairs.embedding[one, target], atol=1e-5, rtol=0)
    pixels = all_pairs.pixels.flatten(1, -3)[one, :, target]
    torch.testing.assert_close(mine.pixels.flatten(1, -2), pixels, atol=1e-5, rtol=0)


def test_changes_of_each_period_from_finetune_to_map(changing: Path, tmp_path: Path) -> None:
    done = run(
        "finetune", "--from-scratch", "--store", changing, "--backbone", "season_means", *EACH, *TINY,
        f"--data.targets={BOTH}", "--model.class_weights=balanced", "--max-steps", 200,
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    scores = Scores.model_validate_json(done.stdout)
    majority = next(row for row in scores.rows if row.name == "majority class")
    assert scores.rows[0].macro_f1 > majority.macro_f1 + 0.1
    judged = np.array(scores.rows[0].confusion).sum()
    assert judged == 2 * len(open_store(changing)) - 5
    # No class changes in 2021, so that its map is emptier than that of 2022.
    words = "predict", "--checkpoint", tmp_path / "run", "--cube", changing.parent / "field.zarr"
    shares = {}
    for period in ("2021-07-01", "2022-01-01"):
        drawn = run(*words, "--period", period, "--out", tmp_path / f"{period}.tif", "--json")
        assert drawn.exit_code == 0, drawn.stderr
        counts = yaml.safe_load(drawn.stdout)["classes"]
        shares[period] = counts["1"] / sum(counts.values())
    assert shares["2021-07-01"] < shares["2022-01-01"]
    for period, said in ([], "say which by its first day: --period 2021-07-01 or 2022-01-01"), (
        ["--period", "2022"], "got 2022"
    ):  # fmt: skip
        refused = run(*words, *period, "--out", tmp_path / "none.tif")
        assert refused.exit_code != 0
        assert said in refused.stderr
    told = run("explain", "--checkpoint", tmp_path / "run", "--store", changing, "--out", tmp_path / "e")
    assert told.exit_code != 0
    assert "train one without --model.each" in told.stderr


def test_bench_of_changes(changing: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.yaml"
    settings = {
        "model": "sits_models.tasks.ChangeDetection", "model.each": True, "data.dates": None,
        "model.periods": ["2021-07-01", "2022-01-01"], "trainer.max_steps": 5,
    }  # fmt: skip
    entry = {"name": "means", "backbone": "season_means", "settings": settings}
    told = {"stores": [str(changing)], "targets": BOTH, "seeds": 1, "folds": 2, "gap_m": 0}
    file.write_text(yaml.safe_dump({**told, "entries": [entry]}))
    done = judge(file, tmp_path / "bench", device="cpu")
    assert all(row.change_f1 is not None for row in done.rows if row.reader == "fine-tuned")
    assert {row.samples for row in done.rows} == {2 * len(open_store(changing)) - 5}
    assert "| change F1 |" in done.text.splitlines()[0]
    assert [row.floor for row in done.rows].count(True) == 6


def test_targets_apart_by_hand() -> None:
    found = apart_by_target(torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), np.array([1, 0]))
    assert found.tolist() == [[[0, 1, 0, 2]], [[3, 0, 4, 0]]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["harvested"], "harvested is none of id, label"),
        (["changed", "crop_code"], "classes of the store, 0, 1; the column crop_code of"),
    ],
)
def test_columns_that_cannot_be(changing: Path, columns: list[str], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        with_targets(open_table(changing), [open_store(changing)], columns)


def test_pixels_have_no_columns(chips: Path) -> None:
    with pytest.raises(InvalidRequest, match="planarize it with --label-field"):
        with_targets(open_table(chips), [open_store(chips)], ["label"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (EACH, "for each of 2021-07-01, 2022-01-01 with --data.targets, got none"),
        ([*EACH, "--data.targets=[changed]"], "got changed"),
        (["--data.targets=[changed]"], "--model.each true"),
        ([*EACH, f"--data.targets={BOTH}", "--data.unit=pixel"], "unit pixel"),
        ([*EACH, f"--data.targets={BOTH}", "--data.order=walk", "--data.walks=2"], "got walks"),
    ],
)
def test_what_does_not_fit(changing: Path, tmp_path: Path, words: list[str], message: str) -> None:
    out = tmp_path / "run"
    done = run("finetune", "--from-scratch", "--store", changing, *TINY, *words, "--out", out)
    assert done.exit_code != 0
    assert message in done.stderr.splitlines()[-1]
    assert not out.exists()
