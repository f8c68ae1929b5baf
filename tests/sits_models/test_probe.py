import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import write_backbone
from click.testing import CliRunner, Result
from torch import Tensor, nn

from sits_data import open_store
from sits_models.backbones import Features
from sits_models.bench.design import Design
from sits_models.bench.features import Embedder
from sits_models.bench.floors import random_twin
from sits_models.bench.scores import SCORES, Scores
from sits_models.checkpoint import load_backbone, load_head, read_card
from sits_models.cli import main
from sits_models.data.residence import open_table
from sits_models.errors import NotACheckpoint, RunExists
from sits_models.probe import probe
from sits_models.registry import register
from sits_models.runs import new_run, read_run

HALVES = Design(folds=2, gap_m=0)
CUT = ["--folds", "2", "--gap-m", "0"]


@register("backbones", name="stops", summary="Somebody presses Ctrl-C while it works.")
class Stops(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_channels))

    def forward(self, batch: dict[str, Tensor]) -> Features:
        raise KeyboardInterrupt


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["probe", *map(str, words)])


def titles(scores: Scores) -> list[tuple[str, str, bool]]:
    return [(row.name, row.reader, row.floor) for row in scores.rows]


@pytest.fixture(scope="module")
def probed(
    pretrained: Path, parcels: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("probed") / "run"
    words = ["--checkpoint", pretrained, "--store", parcels, *CUT, "--out", out, "--json"]
    return out, run(*words)


@pytest.fixture(scope="module")
def scores(probed: tuple[Path, Result]) -> Scores:
    return Scores.model_validate_json((probed[0] / SCORES).read_bytes())


def test_model_stands_beside_every_floor(scores: Scores) -> None:
    assert titles(scores) == [
        ("pretrained", "kNN", False),
        ("pretrained", "linear", False),
        ("random-init", "kNN", True),
        ("random-init", "linear", True),
        ("raw features", "ridge", True),
        ("raw features", "random forest", True),
        ("majority class", "", True),
    ]
    assert all([fold.fold for fold in row.folds] == [1, 2] for row in scores.rows)
    assert all(sum(fold.test for fold in row.folds) == 82 for row in scores.rows)
    assert all(np.sum(row.confusion) == 82 for row in scores.rows)
    assert (scores.task, scores.unit, scores.labels, scores.seed) == ("probe", "region", "all", 0)
    assert scores.split == "2 folds by spatial blocks of 500 m, no gap between training and test regions"


def test_rows_are_of_different_features(scores: Scores) -> None:
    """The model and its twin, and each of the readers, make other mistakes."""
    assert len({json.dumps(row.confusion) for row in scores.rows}) == len(scores.rows)
    forest, majority = scores.rows[5].macro_f1, scores.rows[6].macro_f1
    assert forest > majority + 0.15


def test_json_is_the_file_and_nothing_else(probed: tuple[Path, Result], scores: Scores) -> None:
    out, result = probed
    assert result.exit_code == 0, result.stderr
    assert Scores.model_validate_json(result.stdout) == scores
    record = read_run(out)
    assert (record.kind, record.status, record.seed) == ("probe", "finished", 0)
    assert {file.name for file in out.iterdir()} == {
        "run.json", "scores.json", "card.json", "backbone.safetensors", "head.safetensors",
    }  # fmt: skip


def test_classifier_names_what_its_layer_was_fitted_to(
    probed: tuple[Path, Result], pretrained: Path, parcels: Path
) -> None:
    out, store = probed[0], open_store(parcels)
    card, backbone, head = read_card(out), load_backbone(out), load_head(out)
    weights = load_backbone(pretrained).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in backbone.state_dict().items())
    table = open_table(store)
    features = Embedder(backbone, card.normalisation, 16).regions(table, torch.arange(len(table)))
    named = head(features).argmax(1)
    assert (named == table.label).float().mean() > 0.6  # by chance 0.13
    assert (card.kind, card.parent, card.views) == ("classifier", str(pretrained), {"length": 16})
    assert (card.classes, card.mask) == (store.manifest.classes, store.manifest.mask)
    assert card.seen == ("parcels.planar",)
    assert [(one["store"], one["regions"]) for one in card.data] == [("parcels.planar", 82)]
    assert card.dates.endswith("the head: dates of the whole series")


def test_table_is_printed(pretrained: Path, parcels: Path, tmp_path: Path) -> None:
    result = run(
        "--checkpoint", pretrained, "--store", parcels, *CUT, "--shots", 2, "--seed", 3,
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"probe of {parcels}: 82 regions tested, 11 classes"
    assert "2 shots per class; seed 3" in lines[3]
    assert any(line.startswith("random-init (floor)     linear") for line in lines)
    assert lines[-1] == f"in {tmp_path / 'run'}"
    made = Scores.model_validate_json((tmp_path / "run" / SCORES).read_bytes())
    assert made.seed == read_run(tmp_path / "run").seed == 3
    assert max(fold.train for row in made.rows for fold in row.folds) <= 22


def test_what_the_checkpoint_saw_is_noted(
    probed: tuple[Path, Result], scores: Scores, chips: Path, tmp_path: Path
) -> None:
    """The same store again: the classifier that a probe made knows its labels."""
    assert scores.notes == (
        "pretraining saw the pixels of this store, those of test regions too, but no labels",
    )
    design = Design(unit="region", folds=2, gap_m=0, fraction=0.5)
    card = read_card(probed[0])
    write_backbone(tmp_path / "again", kind="classifier", classes=card.classes, seen=("chips.planar",))
    made = probe(tmp_path / "again", chips, tmp_path / "run", design=design)
    assert made.notes == ("the checkpoint was trained on labels of this store: its scores are too good",)
    assert (made.labels, made.unit) == ("50 % of each class", "region")


def test_pixels_of_halves(pretrained: Path, chips: Path, tmp_path: Path) -> None:
    words = ["--checkpoint", pretrained, "--store", chips, "--unit", "pixel", "--split", "west-east"]
    result = run(*words, "--shots", 30, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.stderr
    made = Scores.model_validate_json(result.stdout)
    assert made.unit == "pixel"
    assert made.split.startswith("trained in the west, tested in the east")
    assert len(titles(made)) == 7
    assert {len(row.folds) for row in made.rows} == {1}
    assert made.rows[0].folds[0].test > 500
    # Pretraining saw another store; a class of one side only is named.
    assert [note.split(":")[0] for note in made.notes] in (
        [], ["not judged, as one side of the split lacks them"],
    )  # fmt: skip
    assert load_head(tmp_path / "run").out_features == len(read_card(tmp_path / "run").classes) == 11
    assert read_card(tmp_path / "run").seen == ("parcels.planar", "chips.planar")


def test_checkpoint_may_be_a_file(
    scores: Scores, pretrained: Path, parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the store the only one here; what is computed is the same again."""
    (tmp_path / "parcels.planar").symlink_to(parcels)
    monkeypatch.chdir(tmp_path)
    again = probe(pretrained / "backbone.safetensors", None, tmp_path / "run", design=HALVES)
    assert again.rows == scores.rows
    assert again.store == "parcels.planar"


def test_twin_is_of_the_same_architecture_and_its_seed(pretrained: Path) -> None:
    card, model = read_card(pretrained), load_backbone(pretrained).state_dict()
    state = torch.get_rng_state()
    ours, same, other = (random_twin(card, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(ours[name], same[name]) for name in model)
    for theirs in (other, model):
        assert [value.shape for value in ours.values()] == [value.shape for value in theirs.values()]
        assert not torch.equal(ours["embed.weight"], theirs["embed.weight"])


def test_run_that_is_there_is_replaced_only_when_asked(
    pretrained: Path, chips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with new_run(out, kind="probe", command=[], seed=0):
        (out / "old").touch()
    words = ["--checkpoint", pretrained, "--store", chips, "--unit", "region", *CUT, "--out", out]
    result = run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(
        "is a finished run; --overwrite begins again, --out chooses another place\n"
    )
    assert (out / "old").exists()
    assert run(*words, "--overwrite").exit_code == 0
    assert not (out / "old").exists()
    assert read_run(out).status == "finished"


def test_checkpoint_is_not_overwritten_by_its_own_probe(
    pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with new_run(out, kind="pretrain", command=[], seed=0):
        shutil.copytree(pretrained, out, dirs_exist_ok=True)
    for checkpoint in (out, out / "backbone.safetensors"):
        with pytest.raises(RunExists, match="which this run reads and --overwrite would delete"):
            probe(checkpoint, parcels, out, design=HALVES, overwrite=True)
    assert load_backbone(out) is not None


def test_interrupted_probe_leaves_no_classifier(chips: Path, tmp_path: Path) -> None:
    arguments = {"backbone": "stops", "backbone_arguments": {"in_channels": 4}}
    checkpoint = write_backbone(tmp_path / "stops", **arguments)
    out = tmp_path / "run"
    result = run("--checkpoint", checkpoint, "--store", chips, "--unit", "region", *CUT, "--out", out)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("main: interrupted; pretrain goes on with")
    assert {file.name for file in out.iterdir()} == {"run.json"}
    assert read_run(out).status == "interrupted"
    with pytest.raises(NotACheckpoint):
        load_head(out)
    with pytest.raises(RunExists, match="is an unfinished run; --overwrite begins again"):
        probe(checkpoint, chips, out, design=HALVES)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--device", "gpu"], 1, "a device is called cpu, cuda or cuda:0, got gpu"),
        (["--folds", 1], 1, "folds must be at least 2, got 1"),
        (["--folds", 50], 1, "50 folds need labelled regions in at least 100 blocks"),
        (["--shots", 0], 1, "shots per class must be at least 1, got 0"),
        (["--fraction", 0], 1, "above 0 and at most 1, got 0"),
        (["--shots", 2, "--fraction", 0.5], 1, "give a fraction or shots, not both"),
        (["--seed", -1], 1, "seed must be from 0 to 4294967295, got -1"),
        (["--gap-m", "nan"], 1, "the gap must be at least 0 m, got nan"),
        (["--store", "nothing.planar"], 1, "not a planar store"),
        (["--checkpoint", "nothing"], 1, "nothing has no card.json"),
        (["--checkpoint", "last.ckpt"], 1, "last.ckpt is a pickle"),
        (["--unit", "field"], 2, "'field' is not one of 'region', 'pixel'"),
        (["--split", "none"], 2, "is not one of 'blocks', 'west-east', 'north-south'"),
        (["--nonsense", 3], 2, "No such option '--nonsense'"),
        (["--out", "thesis/chapter.tex"], 1, "exists and is not a run; choose another place"),
    ],
)
def test_bad_input_is_one_line(
    pretrained: Path, parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: list[Any], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("years of work")
    result = run("--checkpoint", pretrained, "--store", parcels, *words)
    assert isinstance(result.exception, SystemExit)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr.splitlines()[-1]
    assert not Path("runs").exists()


def test_checkpoint_is_asked_for(parcels: Path) -> None:
    assert "Missing option '--checkpoint'" in run("--store", parcels).stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_missing_gpu_is_named(pretrained: Path, parcels: Path, tmp_path: Path, device: str) -> None:
    words = ["--checkpoint", pretrained, "--store", parcels, "--out", tmp_path / "run"]
    result = run(*words, "--device", device)
    expected = f"main: {device} must be a GPU of this machine, which has 0; use --device cpu\n"
    assert (result.exit_code, result.stderr) == (1, expected)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("store", ["unlabelled", "one_class"])
def test_labels_that_do_not_suffice(
    store: str, pretrained: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(store)
    result = run("--checkpoint", pretrained, "--store", path, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert (
        f"{path} has {'none' if store == 'unlabelled' else 1}; planarize with --label" in result.stderr
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"resolution_m": 20}, "resolution 20 m in the checkpoint, 10 m in the data;"),
        (
            {"bands": ("B03", "B02", "B04", "B08")},
            "bands B03, B02, B04, B08 in the checkpoint, B02, B03, B04, B08 in the data;",
        ),
    ],
)
def test_store_that_is_not_like_that_of_training(
    card: dict[str, Any], message: str, pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    shutil.copytree(pretrained, tmp_path / "other")
    said = json.loads((tmp_path / "other/card.json").read_text()) | card
    (tmp_path / "other/card.json").write_text(json.dumps(said))
    result = run("--checkpoint", tmp_path / "other", "--store", parcels, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("backbone.safetensors", "is damaged or is not the one that its card was written for"),
        ("card.json", "must be a card of version 1"),
    ],
)
def test_damaged_checkpoint_costs_no_earlier_run(
    file: str, message: str, pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    with new_run(tmp_path / "run", kind="probe", command=[], seed=0):
        (tmp_path / "run/old").touch()
    shutil.copytree(pretrained, tmp_path / "damaged")
    damaged = tmp_path / "damaged" / file
    damaged.write_bytes(damaged.read_bytes()[:-20])
    words = ["--checkpoint", tmp_path / "damaged", "--store", parcels, *CUT, "--overwrite"]
    result = run(*words, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]
    assert (tmp_path / "run/old").exists()
