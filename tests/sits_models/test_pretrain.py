import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sits_data import open_store
from sits_data.errors import InvalidRequest
from sits_models.checkpoint import load_backbone, read_card
from sits_models.errors import InvalidConfig, NotARun, RunExists, TrainingDiverged, UnknownName
from sits_models.fit.metrics_file import read_rows
from sits_models.fit.pretraining import Pretrained, pretrain, read_settings
from sits_models.runs import read_run

COMMAND = Path(sys.executable).parent / "sits-models"

# Small enough for a test; `--trainer.max_steps` follows.
TINY = [
    "--model.length=8", "--model.dates=3", "--data.batch_size=8", "--trainer.accelerator=cpu",
    "--trainer.devices=1",
]  # fmt: skip


def words(store: Path, *more: str) -> list[str]:
    return [f"--data.root={store}", *TINY, *more]


@pytest.fixture(scope="module")
def done(parcels: Path, tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    out = tmp_path_factory.mktemp("runs") / "simclr"
    return pretrain(words(parcels, "--trainer.max_steps=6", "--seed=5"), out)


def test_run_folder_has_everything(done: Pretrained) -> None:
    assert {path.name for path in done.out.iterdir()} >= {
        "run.json", "config.yaml", "metrics.csv", "tensorboard", "backbone.safetensors", "card.json",
        "views.npz", "embedding.npz",
    }  # fmt: skip
    assert (done.method, done.backbone, done.steps) == ("simclr", "planar_vit_nano", 6)
    assert done.train_loss is not None
    assert read_run(done.out).status == "finished"
    assert read_run(done.out).seed == 5


def test_card_says_what_was_trained_on(done: Pretrained, parcels: Path) -> None:
    card = read_card(done.out)
    assert (card.kind, card.method, card.backbone) == ("backbone", "simclr", "planar_vit_nano")
    assert card.bands == ("B02", "B03", "B04", "B08")
    assert (card.resolution_m, card.mask, card.views["length"]) == (10, "standard", 8)
    assert card.normalisation.bands == card.bands
    assert card.seen == ("parcels.planar",)
    assert card.data[0]["regions"] == done.regions
    assert load_backbone(done.out).in_channels == 4


def test_same_seed_same_weights(done: Pretrained, tmp_path: Path) -> None:
    again = pretrain([f"--config={done.out / 'config.yaml'}"], tmp_path / "again")
    ours, theirs = (load_file(run.out / "backbone.safetensors") for run in (done, again))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_dino_exports_its_teacher(parcels: Path, tmp_path: Path) -> None:
    more = ["--model=sits_models.methods.dino.DINO", "--model.local_length=4", "--model.local_dates=2"]
    done = pretrain([*more, *words(parcels, "--trainer.max_steps=2")], tmp_path / "dino")
    assert read_card(done.out).method == "dino"
    assert load_backbone(done.out).in_channels == 4


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--model.in_channels=7"], InvalidConfig, "which has 4 (B02, B03, B04, B08), got 7"),
        (["--model.backbone=planar_vitt_nano"], UnknownName, "did you mean planar_vit_nano?"),
        (["--model.backbone=utae"], InvalidConfig, "methods draw planar views, utae takes chips"),
        (["--data.root=nothing.planar"], Exception, "not a planar store"),
        (["--model=torch.nn.Linear"], InvalidConfig, "torch.nn.Linear"),
        (["--trainer.devices=999"], InvalidConfig, "on a CPU, got 999"),
        (["--seed=-1"], InvalidRequest, "seed must be from 0 to 4294967295, got -1"),
        (["--model.lr=-1"], InvalidRequest, "lr must be above 0, got -1"),
        (["--model.length=0"], InvalidRequest, "length must be at least 1, got 0"),
        (["--model.gain=1"], InvalidRequest, "gain must be from 0 to 0.99, got 1"),
        (["--model.temperature=0"], InvalidRequest, "temperature must be above 0, got 0"),
        (["--model=sits_models.methods.DINO", "--model.local_dates=0"], InvalidRequest, "local_dates"),
    ],
)
def test_bad_settings_leave_no_folder(
    arguments: list[str], error: type[Exception], message: str, parcels: Path, tmp_path: Path
) -> None:
    with pytest.raises(error) as raised:
        pretrain(words(parcels, *arguments), tmp_path / "run")
    assert message in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_two_processes_make_one_run(parcels: Path, tmp_path: Path) -> None:
    command = [COMMAND, "pretrain", *words(parcels), "--devices", "2", "--max-steps", "3", "--json"]
    done = subprocess.run(
        [*command, "--out", tmp_path / "run"], check=True, capture_output=True, text=True, timeout=300
    )
    assert json.loads(done.stdout)["steps"] == 3
    assert done.stderr.count("copied to the training device") == 1
    run = read_run(tmp_path / "run")
    assert (run.status, run.resumed) == ("finished", 0)
    assert [row["step"] for row in read_rows(tmp_path / "run/metrics.csv")].count("0") == 1
    assert load_backbone(tmp_path / "run").in_channels == 4


def test_a_single_region_a_batch_is_refused(parcels: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="batch_size must be at least 2"):
        pretrain(words(parcels, "--data.batch_size=1", "--trainer.max_steps=1"), tmp_path / "run")


def test_regions_smaller_than_a_view_are_padded_and_counted(
    parcels: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = (open_store(parcels).regions["pixels"].to_numpy() < 500).sum()
    with caplog.at_level("INFO", "sits_models"):
        pretrain(words(parcels, "--model.length=500", "--trainer.max_steps=1"), tmp_path / "run")
    assert f"{small} of " in caplog.text
    assert "regions have fewer than 500 pixels and are padded" in caplog.text


def test_diverged_run_leaves_no_checkpoint(parcels: Path, tmp_path: Path) -> None:
    wild = words(parcels, "--model.lr=1e30", "--model.warmup=0", "--trainer.max_epochs=3")
    with pytest.raises(TrainingDiverged, match=r"diverged by step \d+: weights are not finite"):
        pretrain(wild, tmp_path / "run")
    assert read_run(tmp_path / "run").status == "failed"
    assert not (tmp_path / "run/backbone.safetensors").exists()


def test_finished_run_stays(done: Pretrained, parcels: Path) -> None:
    with pytest.raises(RunExists, match="is a finished run"):
        pretrain(words(parcels), done.out)
    with pytest.raises(RunExists, match="nothing to resume"):
        pretrain(words(parcels), done.out, resume=True)
    assert read_run(done.out).status == "finished"


def test_nothing_to_resume(parcels: Path, tmp_path: Path) -> None:
    with pytest.raises(NotARun, match="a run is a folder"):
        pretrain(words(parcels), tmp_path / "none", resume=True)


def test_only_store_here_is_taken(
    parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "field.planar").symlink_to(parcels)
    monkeypatch.chdir(tmp_path)
    config = read_settings([])
    assert config["model.init_args.in_channels"] == 4
    assert config["data.root"] == str(parcels.resolve())


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "pretrain", *map(str, arguments)],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A job in the background may be deaf to Ctrl-C, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)


def finish(process: subprocess.Popen[str]) -> None:
    error = process.communicate()[1]
    assert process.returncode == 0, error


@pytest.mark.parametrize(
    ("stop", "whole"),
    [
        (signal.SIGKILL, "--trainer.max_steps=80"),
        (signal.SIGKILL, "--trainer.max_epochs=5"),
        (signal.SIGTERM, "--trainer.max_steps=80"),
        (signal.SIGINT, "--trainer.max_steps=80"),
    ],
    indirect=["whole"],
)
def test_stopped_and_resumed_gives_the_same_weights(
    stop: signal.Signals, whole: tuple[str, Path], parcels: Path, tmp_path: Path
) -> None:
    (budget, untouched), out = whole, tmp_path / "cut"
    process = start(tmp_path, *words(parcels, budget), "--out", out)
    wait_for(out / "checkpoints/last.ckpt", process)
    os.kill(process.pid, stop)
    error = process.communicate()[1]
    if stop == signal.SIGKILL:
        assert process.returncode == -stop
        assert read_run(out).status == "running"
    else:
        assert process.returncode == 130
        assert error.splitlines()[-1].startswith("sits-models: interrupted; ")
        assert "--resume" in error.splitlines()[-1]
        assert "Traceback" not in error
        assert read_run(out).status == "interrupted"
    assert not (out / "card.json").exists()
    finish(start(tmp_path, "--out", out, "--resume"))
    ours, theirs = (load_file(run / "backbone.safetensors") for run in (untouched, out))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert (untouched / "metrics.csv").read_text() == (out / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def whole(
    request: pytest.FixtureRequest, parcels: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A budget, and the run of it that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    finish(start(folder, *words(parcels, request.param), "--out", folder / "run"))
    return request.param, folder / "run"
