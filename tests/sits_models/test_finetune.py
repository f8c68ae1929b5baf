import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import timm
import torch
import yaml
from click.testing import CliRunner, Result
from torch import Tensor, nn

from sits_data import open_store
from sits_models.backbones import Features, photographs
from sits_models.bench.classify import classify_pixels
from sits_models.bench.design import Design
from sits_models.bench.problem import pose
from sits_models.bench.scores import SCORES, Scores
from sits_models.checkpoint import load_backbone, load_head, read_card
from sits_models.cli import main
from sits_models.contract import Batch
from sits_models.data.residence import open_table
from sits_models.errors import NotACheckpoint, RunExists
from sits_models.finetune import finetune, prepare
from sits_models.registry import register
from sits_models.runs import new_run, read_run
from sits_models.tasks import RegionClassification

COMMAND = Path(sys.executable).parent / "sits-models"
FOLDS = ["--data.folds=2", "--data.gap_m=0"]
HALVES = ["--data.split=west-east"]
TINY = ["--data.length=8", "--data.dates=3", "--trainer.max_steps=1", "--trainer.accelerator=cpu"]


@register(
    "backbones", name="seasons", summary="A pixel's clear means every two months; nothing to learn."
)
class Seasons(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels, self.embed_dim = in_channels, 6 * (in_channels + 1)

    def forward(self, batch: dict[str, Tensor]) -> Features:
        season = nn.functional.one_hot(batch["dates"] % 365 * 6 // 365, 6).float()
        clear = batch["clear"][:, None].float()
        total = torch.cat([batch["image"] * clear, clear], 1)
        mean = torch.einsum("bctl,bts->blsc", total, season)
        pixels = (mean / mean[..., -1:].clamp(min=1)).flatten(2)
        seen = clear[:, 0].amax(1)[..., None]
        return Features((pixels * seen).sum(1) / seen.sum(1).clamp(min=1), pixels)


class Seen(NamedTuple):
    """One training: what it began with, and what it was shown."""

    start: Tensor
    width: int
    dense: bool
    regions: set[int]
    pixels: set[tuple[int, int]]


class Watched(RegionClassification):
    """Writes down what each training sees; may be interrupted."""

    trainings: ClassVar[list[Seen]] = []
    stop: ClassVar[bool] = False

    def on_train_start(self) -> None:
        assert self.backbone is not None
        weights = [one.detach().flatten() for one in self.backbone.parameters()]
        self.trainings.append(
            Seen(
                torch.cat([torch.zeros(0), *weights]),
                self.head.in_features,
                self.hparams["dense"],
                set(),
                set(),
            )
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if self.stop and len(self.trainings) == 2:
            raise KeyboardInterrupt
        seen = self.trainings[-1]
        seen.regions.update(batch["region"].tolist())
        if "mask" in batch:
            for region, rows, label in zip(batch["region"], batch["index"], batch["mask"], strict=True):
                seen.pixels.update((int(region), int(row)) for row in rows[label >= 0])
        return super().training_step(batch, batch_idx)


@pytest.fixture
def watched() -> type[Watched]:
    Watched.trainings.clear()
    return Watched


def of(model: type) -> str:
    return f"--model={model.__module__}.{model.__qualname__}"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["finetune", *map(str, words)])


def titles(scores: Scores) -> list[tuple[str, str, bool]]:
    return [(row.name, row.reader, row.floor) for row in scores.rows]


@pytest.fixture(scope="module")
def tuned(
    pretrained: Path, parcels: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("tuned") / "run"
    words = ["--checkpoint", pretrained, "--store", parcels, "--seed", 5, *FOLDS, *TINY]
    return out, run(*words, "--out", out, "--json")


@pytest.fixture(scope="module")
def scores(tuned: tuple[Path, Result]) -> Scores:
    return Scores.model_validate_json((tuned[0] / SCORES).read_bytes())


def test_model_stands_beside_every_floor(scores: Scores) -> None:
    assert titles(scores) == [
        ("pretrained", "fine-tuned", False),
        ("from scratch", "fine-tuned", True),
        ("raw features", "ridge", True),
        ("raw features", "random forest", True),
        ("majority class", "", True),
    ]
    assert all([fold.fold for fold in row.folds] == [1, 2] for row in scores.rows)
    assert all(np.sum(row.confusion) == 82 for row in scores.rows)
    assert (scores.task, scores.unit, scores.seed) == ("finetune", "region", 5)
    assert scores.notes == (
        "pretraining saw the pixels of this store, those of test regions too, but no labels",
    )


def test_json_is_the_file_and_nothing_else(tuned: tuple[Path, Result], scores: Scores) -> None:
    out, result = tuned
    assert result.exit_code == 0, result.stderr
    assert Scores.model_validate_json(result.stdout) == scores
    record = read_run(out)
    assert (record.kind, record.status, record.seed, record.device) == ("finetune", "finished", 5, "cpu")
    folds = {"pretrained-1", "pretrained-2", "from-scratch-1", "from-scratch-2"}
    assert {folder.name for folder in (out / "folds").iterdir()} == folds
    assert all((out / "folds" / fold / "metrics.csv").is_file() for fold in folds)
    assert not list(out.rglob("*.ckpt"))


def test_classifier_can_be_read(tuned: tuple[Path, Result], pretrained: Path, parcels: Path) -> None:
    out, store = tuned[0], open_store(parcels)
    card, before = read_card(out), read_card(pretrained)
    assert (card.kind, card.parent, card.seen) == ("classifier", str(pretrained), ("parcels.planar",))
    assert (card.classes, card.views["length"]) == (store.manifest.classes, 8)
    assert (card.backbone_arguments, card.normalisation) == (
        before.backbone_arguments, before.normalisation,
    )  # fmt: skip
    assert load_head(out).weight.shape == (11, 24)
    weights = load_backbone(pretrained).state_dict()
    assert not any(
        torch.equal(weights[name], new) for name, new in load_backbone(out).state_dict().items()
    )


def test_twin_begins_elsewhere_with_as_many_weights(
    watched: type[Watched], pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    words = [of(watched), f"--model.checkpoint={pretrained}", f"--data.root={parcels}"]
    finetune([*words, *FOLDS, *TINY], tmp_path / "run")
    *starts, final = [training.start for training in watched.trainings]
    theirs = torch.cat([one.flatten() for one in load_backbone(pretrained).parameters()])
    assert all(torch.equal(start, theirs) for start in (*starts[:2], final))
    assert torch.equal(starts[2], starts[3])
    assert starts[2].shape == theirs.shape
    assert not torch.isclose(starts[2], theirs).all()
    assert {training.width for training in watched.trainings} == {24}


@pytest.mark.parametrize(
    ("store", "unit", "split"),
    [
        ("parcels", "region", "blocks"),
        ("parcels", "pixel", "west-east"),
        ("chips", "pixel", "blocks"),
        ("chips", "pixel", "west-east"),
    ],
)
def test_each_training_sees_its_own_samples_alone(
    watched: type[Watched], store: str, unit: Any, split: Any, tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """Those that the floors of the same fold learn from, and no pixel of a test region."""
    path = request.getfixturevalue(store)
    opened = open_store(path)
    gap = [] if split == "west-east" else ["--data.gap_m=0"]
    words = [of(watched), f"--data.root={path}", f"--data.split={split}", f"--data.unit={unit}", *gap]
    whole = ["--data.length=256", "--data.batch_size=90", "--trainer.max_epochs=1"]
    few = ["--data.folds=2", "--data.shots=3", "--model.backbone=seasons"]
    made = finetune([*words, *whole, *few], tmp_path / "run")
    design = Design(unit=unit, split=split, folds=2, gap_m=0, shots=3)
    problem = pose(opened, open_table(opened), design)
    ids = opened.regions["id"].to_numpy()
    expected = [*(fold.train for fold in problem.folds), problem.final]
    assert len(watched.trainings) == len(expected)
    assert {training.dense for training in watched.trainings} == {unit == "pixel"}
    for training, samples in zip(watched.trainings, expected, strict=True):
        items = problem.items.chosen(samples)
        assert training.regions == set(ids[items.regions].tolist())
        if items.rows is not None:
            pairs = zip(ids[items.regions].tolist(), items.rows.tolist(), strict=True)
            assert training.pixels == set(pairs)
    assert [fold.train for fold in made.rows[0].folds] == [len(fold.train) for fold in problem.folds]


def test_learns_the_classes_that_are_judged(chips: Path, tmp_path: Path) -> None:
    """In halves these are some of the store's, so that their numbers differ."""
    words = [f"--data.root={chips}", "--model.backbone=seasons", "--model.lr=0.1", *HALVES]
    more = ["--data.shots=60", "--data.dates=null", "--trainer.max_steps=60"]
    made = finetune([*words, *more], tmp_path / "run")
    model, floor = made.rows[0], made.rows[-1]
    classes = open_store(chips).manifest.classes
    assert made.classes != classes[: len(made.classes)]
    assert model.macro_f1 > floor.macro_f1 + 0.15
    assert max(model.folds[0].f1[name] for name in ("9310", "9320")) > 0.3  # behind one that is missing
    assert made.notes[0].startswith("not judged, as one side of the split lacks them: ")


def test_from_scratch_has_no_twin(chips: Path, tmp_path: Path) -> None:
    """Of a store whose name is not taken for a checkpoint."""
    store = tmp_path / "checkpoints/field.planar"
    shutil.copytree(chips, store)
    out = tmp_path / "run"
    words = ["--from-scratch", "--store", store, *HALVES, *TINY, "--shots", 20, "--out", out]
    assert run(*words[1:]).exit_code == 2
    result = run(*words, "--trainer.enable_checkpointing=false")
    assert result.exit_code == 0, result.stderr
    made = Scores.model_validate_json((out / SCORES).read_bytes())
    assert titles(made)[0] == ("from scratch", "fine-tuned", False)
    assert len(made.rows) == 4
    assert (made.unit, made.labels) == ("pixel", "20 shots per class")
    assert not any("pretraining" in note or "checkpoint" in note for note in made.notes)
    assert f"finetune of {store}: " in result.stdout.splitlines()[0]
    card = read_card(out)
    assert (card.parent, card.method, card.seen) == (None, None, ("field.planar",))
    assert card.backbone == "planar_vit_nano"
    assert load_head(out).out_features == 11


def test_pixels_are_named_as_a_map_would(chips: Path, tmp_path: Path) -> None:
    """The mean of two runs of windows, so that none is only named at the edge of one."""
    words = [f"--data.root={chips}", *HALVES, *TINY, "--data.length=24"]
    work = prepare(words, tmp_path / "run", recipe=None, progress=False)
    problem = work.problem
    trained = work.train(tmp_path / "run", problem.final, fold=None, checkpoint=None)
    found = work.chances(trained, problem.folds[0].test[:50])
    asked: Any = {"normalisation": trained.data.normalisation, "curve": "snake", "device": "cpu"}
    mapped = classify_pixels(trained.backbone, trained.head, problem.table, length=24, **asked)
    items = problem.items.chosen(problem.folds[0].test[:50])
    assert items.rows is not None
    wanted = mapped[problem.table.first_row.numpy()[items.regions] + items.rows]
    known = ~np.isnan(wanted).any(1)
    np.testing.assert_allclose(found.numpy()[known], wanted[known], atol=1e-6)
    assert known.mean() > 0.5
    assert trained.backbone.training is False


def test_frozen_backbone_stays_as_it_is(pretrained: Path, parcels: Path, tmp_path: Path) -> None:
    words = ["--checkpoint", pretrained / "backbone.safetensors", "--store", parcels, "--freeze"]
    result = run(*words, *HALVES, *TINY, "--fraction", 0.5, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.stderr
    made = Scores.model_validate_json(result.stdout)
    assert titles(made)[:2] == [
        ("pretrained", "linear layer", False), ("random-init", "linear layer", True),
    ]  # fmt: skip
    assert made.labels == "50 % of each class"
    ours, theirs = load_backbone(tmp_path / "run").state_dict(), load_backbone(pretrained).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (
            ["--unit", "pixel", "--gap-m", "7", "--data.dates=null", "--max-steps", 1],
            {"unit": "pixel", "gap_m": 7.0, "dates": None, "shots": 4},
        ),
        (
            ["--data.unit=region", "--split", "north-south", "--max-epochs", 1],
            {"unit": "region", "gap_m": 0.0, "split": "north-south", "block_m": None},
        ),
    ],
)
def test_settings_of_a_run_make_it_again(
    asked: list[object], kept: dict[str, object], chips: Path, tmp_path: Path
) -> None:
    words = ["--from-scratch", "--store", chips, "--folds", 2, "--shots", 4]
    words += ["--backbone", "seasons", "--data.length=8"]
    assert run(*words, *asked, "--out", tmp_path / "one").exit_code == 0
    config = tmp_path / "one/config.yaml"
    settings = yaml.safe_load(config.read_text())
    assert settings["data"] | kept == settings["data"]
    # Epochs that were asked for are not cut short by a number of steps.
    assert settings["trainer"]["max_steps"] == (-1 if "--max-epochs" in asked else 1)
    result = run("--config", config, "--out", tmp_path / "two")
    assert result.exit_code == 0, result.stderr
    one, two = (
        Scores.model_validate_json((tmp_path / name / SCORES).read_bytes()) for name in ("one", "two")
    )
    assert one.model_copy(update={"seconds": 0, "store": ""}) == two.model_copy(
        update={"seconds": 0, "store": ""}
    )
    assert config.read_text() == (tmp_path / "two/config.yaml").read_text()


def test_file_of_settings_may_name_the_checkpoint(
    pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    """`--from-scratch` is louder than the file."""
    settings = {"model": {"init_args": {"checkpoint": str(pretrained)}}, "data": {"root": str(parcels)}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(settings))
    words = ["--config", tmp_path / "my.yaml", *HALVES, *TINY, "--out", tmp_path / "run", "--json"]
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["rows"][0]["name"] == "pretrained"
    printed = yaml.safe_load(run(*words, "--from-scratch", "--print_config").stdout)
    assert printed["model"]["init_args"]["checkpoint"] is None


def test_views_may_have_one_shape(parcels: Path, tmp_path: Path) -> None:
    words = [f"--data.root={parcels}", "--data.fixed=[4,6]", *TINY, *HALVES]
    finetune(words, tmp_path / "run")
    views = read_card(tmp_path / "run").views
    assert views["length"] == 6
    assert "_fixed" not in json.dumps(views)


def test_all_settings_are_printed(tmp_path: Path) -> None:
    result = run("--print_config", "--out", tmp_path / "run")
    assert result.exit_code == 0
    settings = yaml.safe_load(result.stdout)
    assert (settings["data"]["batch_size"], settings["trainer"]["max_steps"]) == (32, 600)
    assert not (tmp_path / "run").exists()


def test_run_that_is_there_is_replaced_only_when_asked(
    pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with new_run(out, kind="finetune", command=[], seed=0):
        (out / "old").touch()
    words = ["--checkpoint", pretrained, "--store", parcels, *HALVES, *TINY, "--out", out]
    result = run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(
        "is a finished run; --overwrite begins again, --out chooses another place\n"
    )
    with pytest.raises(RunExists):
        finetune([f"--data.root={parcels}", *HALVES, *TINY], out)
    assert (out / "old").exists()
    assert run(*words, "--overwrite").exit_code == 0
    assert not (out / "old").exists()


def test_checkpoint_is_not_overwritten_by_what_begins_with_it(
    pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with new_run(out, kind="pretrain", command=[], seed=0):
        shutil.copytree(pretrained, out, dirs_exist_ok=True)
    words = [f"--model.checkpoint={out}", f"--data.root={parcels}", *HALVES, *TINY]
    with pytest.raises(RunExists, match="which this run reads and --overwrite would delete"):
        finetune(words, out, overwrite=True)
    assert load_backbone(out) is not None


def test_interrupted_run_leaves_no_classifier(
    watched: type[Watched], parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "stop", True)
    out = tmp_path / "run"
    words = ["--from-scratch", "--store", parcels, *FOLDS, *TINY, "--out", out]
    result = run(*words, of(watched))
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("main: interrupted; pretrain goes on with")
    check_unfinished(out, "interrupted")
    result = run(*words)
    assert result.exit_code == 1
    assert "is an unfinished run; --overwrite begins again" in result.stderr


def check_unfinished(out: Path, status: str) -> None:
    assert read_run(out).status == status
    assert (out / "folds/from-scratch-1").exists()
    assert not (out / SCORES).exists()
    for read in (read_card, load_backbone, load_head):
        with pytest.raises(NotACheckpoint, match=r"has no card\.json"):
            read(out)


def test_killed_run_leaves_no_classifier(parcels: Path, tmp_path: Path) -> None:
    """Killed in the middle of a fold, it is not taken for one that is still to be trusted."""
    out = tmp_path / "run"
    words = ["--from-scratch", "--store", parcels, *FOLDS, "--max-steps", 100_000, "--out", out]
    command = [str(word) for word in (COMMAND, "finetune", *words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (out / "folds/from-scratch-1/metrics.csv").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    check_unfinished(out, "running")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--nonsense", 3], 2, "nrecognized arguments: --nonsense 3; --print_config shows all"),
        (["--data.batch_size", "many"], 2, "data.batch_size"),
        (["--data.batch_size", 0], 1, "batch_size must be at least 1, got 0"),
        (["--data.order", "peano"], 1, "unknown curve 'peano'; use one of raster, snake"),
        (["--data.split", "none"], 2, "finetune needs a split, got none; use blocks, west-east"),
        (["--data.split", "west-east", "--data.gap_m=-3"], 1, "the gap must be at least 0 m, got -3"),
        (["--model.class_weights=[1,2]"], 1, "class_weights must be one a class, 11, got 2"),
        (["--model.lr=-1"], 1, "lr must be at least 0, got -1.0"),
        (["--backbone", "planar_vitt_nano"], 1, "did you mean planar_vit_nano?"),
        (["--data.folds=50"], 1, "50 folds need labelled regions in at least 100 blocks"),
        (["--shots", 2, "--fraction", 0.5], 1, "give a fraction or shots, not both"),
        (
            ["--data.walks=3", "--data.order=walk", "--unit=pixel"],
            2,
            "walks vote for regions, got --unit",
        ),
        (["--model.patience=3"], 2, "no region validates; give --data.validation 0.2"),
        (["--recipe", "cviu2020"], 2, "'cviu2020' is not one of 'deepstar', 'deepstar-gstr'"),
        (["--seed", -1], 1, "seed must be from 0 to 4294967295, got -1"),
        (["--trainer.max_steps=-7"], 2, "the trainer refuses a setting: `max_steps` must be"),
        (["--devices", 2], 2, "finetune trains on one device, got 2; use"),
        (["--trainer.accelerator=abacus"], 2, "the trainer refuses a setting: You selected an invalid"),
        (["--store", "nothing.planar"], 1, "not a planar store"),
        (["--checkpoint", "run"], 2, "either --checkpoint RUN or --from-scratch, not both"),
        (["--model.checkpoint=run"], 2, "either --checkpoint RUN or --from-scratch, not both"),
        (["--config", "broken.yaml"], 2, "Problems parsing config: while parsing a flow"),
        (["--config", "nowhere.yaml"], 2, "File does not exist"),
        (["--unit", "field"], 2, "'field' is not one of 'region', 'pixel'"),
        (["--out", "broken.yaml"], 1, "exists and is not a run; choose another place"),
    ],
)
def test_bad_input_is_one_line(
    parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: list[Any], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text("data: [1,\n  b: {")
    result = run("--from-scratch", "--store", parcels, *FOLDS, *TINY, *words)
    assert isinstance(result.exception, SystemExit)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr.splitlines()[-1]
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("recipe", "fit", "length"), [("cviu2021", "centre", 50), ("cviu2021-gstr", "repeat", 224)]
)
def test_recipe_of_the_paper(
    parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, fit: str, length: int
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("offline")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    out = tmp_path / "run"
    # The whole recipe but for its size: a smaller canvas, fewer walks, two steps.
    small = ["--model.backbone_args.side=224", "--max-steps=2", "--data.batch_size=4"]
    walks = ["--data.walks=1"] if fit == "centre" else []
    result = run(
        "--from-scratch", "--store", parcels, "--recipe", recipe, *FOLDS, *small, *walks, "--out", out
    )
    assert result.exit_code == 0, result.stderr
    assert "started from random weights: those of ImageNet were not to be had" in result.stdout
    settings = yaml.safe_load((out / "config.yaml").read_text())
    model, data = settings["model"]["init_args"], settings["data"]
    assert (model["lr"], model["optimizer"], model["patience"]) == (1e-6, "adam", 20)
    assert data["length"] == length
    card = read_card(out)
    assert card.backbone_arguments == {
        "in_channels": 4, "bands": [3, 2, 1], "pretrained": False, "fit": fit, "side": 224
    }  # fmt: skip
    assert load_backbone(out).fit == fit


def test_recipe_of_today_starts_from_photographs(
    parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = timm.create_model("resnet18").state_dict()
    monkeypatch.setattr(photographs, "_missing", set())
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(learned))
    out = tmp_path / "run"
    words = ["--from-scratch", "--store", parcels, "--recipe", "deepstar", *FOLDS, "--out", out]
    result = run(*words, "--max-steps=1", "--data.batch_size=2", "--data.walks=1", "--model.lr=0")
    assert result.exit_code == 0, result.stderr
    assert "random weights" not in result.stdout
    first = dict(load_backbone(out).named_parameters())["network.conv1.weight"]
    # Bands are blue, green, red and near infrared; three more channels are the flag and the date.
    torch.testing.assert_close(first[:, [2, 1, 0]], learned["conv1.weight"] * 3 / 7)
    mean = learned["conv1.weight"].mean(1) * 3 / 7
    torch.testing.assert_close(first[:, 3:], mean[:, None].expand(-1, 4, -1, -1))


@pytest.mark.parametrize("recipe", ["deepstar", "deepstar-gstr"])
def test_recipe_of_today(parcels: Path, tmp_path: Path, recipe: str) -> None:
    out = tmp_path / "run"
    small = ["--max-steps=2", "--data.batch_size=8", "--backbone=tempcnn"]
    words = ["--from-scratch", "--store", parcels, "--recipe", recipe, *FOLDS, *small, "--out", out]
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    data = yaml.safe_load((out / "config.yaml").read_text())["data"]
    assert (data["walks"], data["length"]) == ((4, 50) if recipe == "deepstar" else (None, 128))
    assert read_card(out).backbone == "tempcnn"  # what is said goes before the recipe


def test_start_must_be_said(parcels: Path) -> None:
    result = run("--store", parcels)
    assert result.exit_code == 2
    assert "say what training starts from: either --checkpoint RUN or --from-scratch" in result.stderr


def test_two_stores_are_not_judged_together(parcels: Path, chips: Path, tmp_path: Path) -> None:
    result = run("--from-scratch", f"--data.root=[{parcels},{chips}]", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "main: finetune judges one store, got 2; name the one with --store FILE.planar\n"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_named(pretrained: Path, parcels: Path, tmp_path: Path) -> None:
    words = ["--checkpoint", pretrained, "--store", parcels, "--accelerator", "gpu"]
    result = run(*words, "--out", tmp_path / "run")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("main: the device that was asked for is not there")
    assert last.endswith("use --accelerator auto or cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("store", ["unlabelled", "one_class"])
def test_labels_that_do_not_suffice(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(store)
    result = run("--from-scratch", "--store", path, "--out", tmp_path / "run")
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
            {"bands": ["B02", "B03", "B04"]},
            "bands B02, B03, B04 in the checkpoint, B02, B03, B04, B08 in",
        ),
        ({"files": {}}, "is damaged or is not the one that its card was written for"),
    ],
)
def test_checkpoint_that_cannot_serve_costs_no_earlier_run(
    card: dict[str, Any], message: str, pretrained: Path, parcels: Path, tmp_path: Path
) -> None:
    with new_run(tmp_path / "run", kind="finetune", command=[], seed=0):
        (tmp_path / "run/old").touch()
    shutil.copytree(pretrained, tmp_path / "other")
    said = json.loads((tmp_path / "other/card.json").read_text()) | card
    (tmp_path / "other/card.json").write_text(json.dumps(said))
    words = ["--checkpoint", tmp_path / "other", "--store", parcels, *FOLDS, *TINY, "--overwrite"]
    result = run(*words, "--out", tmp_path / "run")
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert message in result.stderr.splitlines()[-1]
    assert (tmp_path / "run/old").exists()
