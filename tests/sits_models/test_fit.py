import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn

from sits_models.checkpoint import ModelCard, load_backbone
from sits_models.data.normalisation import Normalisation
from sits_models.errors import InvalidConfig, MissingDevice, NotACheckpoint, NotARun
from sits_models.fit import Config, Export, MetricsFile, make_trainer, parse, train
from sits_models.fit.export import Trained
from sits_models.fit.keep import steps_done
from sits_models.fit.metrics_file import read_rows
from sits_models.fit.run import check_state
from sits_models.registry import create
from sits_models.tasks import RegionClassification


class Line(LightningModule):
    """One weight with dropout, so that a resumed run needs the state of the random numbers."""

    takes_regions = True

    def __init__(self, rate: float = 0.1, *, stop_at: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.rate, self.stop_at = rate, stop_at
        self.weight = nn.Parameter(torch.rand(4))

    def training_step(self, batch: Any, _: int) -> Tensor:
        if self.global_step == self.stop_at:
            raise KeyboardInterrupt
        loss = nn.functional.dropout(self.weight - len(batch), 0.5).square().sum()
        self.log("train_loss", loss, batch_size=len(batch))
        self.log("mean_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.rate)


def line(parcels: Path, *arguments: str) -> Config:
    words = [f"--data.root={parcels}", "--data.batch_size=40", "--trainer.accelerator=cpu"]
    return parse([*words, *arguments], model=LightningModule, default=Line)


def fit(config: Config, folder: Path, *, resume: Path | None = None, **changes: object) -> Line:
    parts = config.instantiate(**changes)
    trainer = make_trainer(parts.trainer, folder, resume=resume is not None)
    for callback in trainer.checkpoint_callbacks:
        callback.every_n_steps = 1  # type: ignore[attr-defined]
    train(trainer, parts.model, parts.data, resume=resume)
    assert isinstance(parts.model, Line)
    return parts.model


def test_every_setting_is_a_flag_and_a_line_of_a_file(parcels: Path, tmp_path: Path) -> None:
    config = line(parcels, "--model.rate=0.5", "--seed=7", "--trainer.max_steps=3")
    assert (config["model.init_args.rate"], config["data.batch_size"]) == (0.5, 40)
    config.save(tmp_path / "config.yaml")
    again = parse([f"--config={tmp_path / 'config.yaml'}", "--data.length=9"])
    assert again["model.init_args.rate"] == 0.5
    assert (again["seed"], again["trainer.max_steps"], again["data.length"]) == (7, 3, 9)
    parts = again.instantiate()
    assert isinstance(parts.model, Line)
    assert (parts.data.seed, parts.data.batch_size) == (7, 40)


def test_instantiated_again_is_fresh_and_equal(parcels: Path) -> None:
    config = line(parcels)
    one, two = config.instantiate(), config.instantiate(data__fold=2, model__init_args__rate=0.2)
    assert one.model is not two.model
    torch.testing.assert_close(one.model.weight, two.model.weight, rtol=0, atol=0)
    assert (one.data.fold, two.data.fold) == (0, 2)
    assert (one.model.rate, two.model.rate) == (0.1, 0.2)
    other = config.instantiate(seed=1).model
    assert not torch.equal(one.model.weight, other.weight)


def test_values_may_be_objects(parcels: Path) -> None:
    bands = ("B02", "B03", "B04", "B08")
    ours = Normalisation(bands=bands, low=(0,) * 4, high=(0.5,) * 4)
    assert line(parcels).instantiate(data__normalisation=ours).data.normalisation == ours


@pytest.mark.parametrize(
    ("arguments", "steps", "epochs"),
    [([], -1, 50), (["--trainer.max_steps=5"], 5, None), (["--trainer.max_epochs=2"], -1, 2)],
)
def test_a_run_ends(arguments: list[str], steps: int, epochs: int | None, parcels: Path) -> None:
    trainer = line(parcels, *arguments)["trainer"]
    assert (trainer.max_steps, trainer.max_epochs) == (steps, epochs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense=3"], "nrecognized arguments: --nonsense=3"),
        (["--data.batch_size=many"], "data.batch_size"),
        (["--model.wings=2"], "wings"),
        (["--model=nothing.Here"], "nothing.Here"),
        (["--config=nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_settings_are_one_line(arguments: list[str], message: str, parcels: Path) -> None:
    with pytest.raises(InvalidConfig) as raised:
        line(parcels, *arguments)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert InvalidConfig.exit_code == 2


def test_logs_are_csv_and_tensorboard_alone(
    parcels: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(line(parcels, "--trainer.max_epochs=2"), tmp_path)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["train_loss"]]
    assert steps
    assert steps == list(range(len(steps)))
    assert {"epoch", "step", "train_loss"} <= set(rows[0])
    assert [row["epoch"] for row in (rows[0], rows[-1])] == ["0", "1"]
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints", "metrics.csv", "tensorboard",
    ]  # fmt: skip
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_bar_is_on_stderr(parcels: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parts = line(parcels, "--trainer.max_steps=3").instantiate()
    train(make_trainer(parts.trainer, tmp_path, progress=True), parts.model, parts.data)
    shown = capfd.readouterr()
    assert "3/3" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("stop_at", [5, 8])
def test_resumed_run_is_the_same_run(stop_at: int, parcels: Path, tmp_path: Path) -> None:
    config = line(parcels, "--trainer.max_epochs=3")
    whole = fit(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "cut", model__init_args__stop_at=stop_at)
    state = tmp_path / "cut/checkpoints/last.ckpt"
    again = fit(config, tmp_path / "cut", resume=state)
    torch.testing.assert_close(again.weight, whole.weight, rtol=0, atol=0)
    written = [read_rows(tmp_path / name / "metrics.csv") for name in ("whole", "cut")]
    assert written[0] == written[1]


def test_no_row_is_lost_to_a_kill_at_the_end_of_an_epoch(
    parcels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = line(parcels, "--trainer.max_epochs=3")
    whole = fit(config, tmp_path / "whole")
    write = MetricsFile.log_metrics

    def cut(log: MetricsFile, metrics: dict[str, float], step: int | None = None) -> None:
        if "mean_loss" in metrics and metrics["epoch"] == 1:
            raise KeyboardInterrupt
        write(log, metrics, step)

    monkeypatch.setattr(MetricsFile, "log_metrics", cut)
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "cut")
    monkeypatch.undo()
    again = fit(config, tmp_path / "cut", resume=tmp_path / "cut/checkpoints/last.ckpt")
    torch.testing.assert_close(again.weight, whole.weight, rtol=0, atol=0)
    rows, expected = (read_rows(tmp_path / name / "metrics.csv") for name in ("cut", "whole"))
    assert sum(bool(row["mean_loss"]) for row in expected) == 3
    assert rows == expected


def test_state_of_the_last_epoch_is_kept_where_export_fails(parcels: Path, tmp_path: Path) -> None:
    class Failing(Callback):
        def on_train_end(self, *_: object) -> None:
            raise RuntimeError("no space")

    parts = line(parcels, "--trainer.max_epochs=2").instantiate()
    trainer = make_trainer(parts.trainer, tmp_path, callbacks=[Failing()])
    (keep,) = trainer.checkpoint_callbacks
    keep.every_n_steps = 1  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="no space"):
        train(trainer, parts.model, parts.data)
    assert steps_done(tmp_path / "checkpoints/last.ckpt") == trainer.global_step > 0


def test_metrics_survive_new_columns_and_a_cut_line(tmp_path: Path) -> None:
    log = MetricsFile(tmp_path)
    for step in range(4):
        log.log_metrics({"loss": 0.5 * step, "epoch": step // 2}, step)
    log.log_metrics({"std": 1.0}, 3)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("2,4")
    resumed = MetricsFile(tmp_path, keep=2)
    resumed.log_metrics({"loss": 9.0, "epoch": 1}, 2)
    rows = read_rows(tmp_path / "metrics.csv")
    assert [(row["step"], row["loss"]) for row in rows] == [("0", "0.0"), ("1", "0.5"), ("2", "9.0")]


def test_export_writes_a_checkpoint_at_the_end(parcels: Path, tmp_path: Path) -> None:
    backbone = create("backbones", "planar_vit_nano", in_channels=1)
    card = ModelCard(
        backbone="planar_vit_nano",
        backbone_arguments={"in_channels": 1},
        bands=("B02",),
        resolution_m=10,
        mask="standard",
        normalisation=Normalisation(bands=("B02",), low=(0,), high=(1,)),
    )
    export = Export(tmp_path, lambda *_: Trained(backbone, card))
    parts = line(parcels, "--trainer.max_steps=2").instantiate()
    trainer = make_trainer(parts.trainer, tmp_path, callbacks=[export])
    assert not (tmp_path / "card.json").exists()
    train(trainer, parts.model, parts.data)
    loaded = load_backbone(tmp_path).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in backbone.state_dict().items())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_device_is_named(parcels: Path, tmp_path: Path) -> None:
    parts = line(parcels, "--trainer.accelerator=gpu").instantiate()
    with pytest.raises(MissingDevice, match="use --accelerator auto or cpu"):
        make_trainer(parts.trainer, tmp_path)


def test_refused_setting_is_one_line(parcels: Path, tmp_path: Path) -> None:
    parts = line(parcels, "--trainer.max_epochs=-7").instantiate()
    with pytest.raises(InvalidConfig, match="the trainer refuses a setting"):
        make_trainer(parts.trainer, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"\x80\x02cos\nsystem\n."])
def test_damaged_state_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(NotARun, match="damaged or of something else"):
        check_state(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    "setting", ["--trainer.accelerator=abacus", "--trainer.devices=many", "--trainer.accelerator=tpu"]
)
def test_hardware_that_nobody_knows_is_one_line(setting: str, parcels: Path, tmp_path: Path) -> None:
    parts = line(parcels, setting).instantiate()
    with pytest.raises(InvalidConfig, match="the trainer refuses a setting") as raised:
        make_trainer(parts.trainer, tmp_path)
    assert "\n" not in str(raised.value)


def test_what_a_model_refuses_is_told_in_its_own_words(parcels: Path, tmp_path: Path) -> None:
    words = [f"--data.root={parcels}", "--model.num_classes=3", f"--model.checkpoint={tmp_path}"]
    config = parse(words, model=RegionClassification, default=RegionClassification)
    with pytest.raises(NotACheckpoint, match=r"^a checkpoint is a folder with card\.json"):
        config.instantiate()


def test_null_is_a_setting_too(parcels: Path, tmp_path: Path) -> None:
    """A file must not fall back to the default that somebody has switched off."""
    defaults = {"data.dates": 36}
    config = parse([f"--data.root={parcels}", "--data.dates=null"], default=Line, defaults=defaults)
    config.save(tmp_path / "config.yaml")
    again = parse([f"--config={tmp_path / 'config.yaml'}"], defaults=defaults)
    assert again["data.dates"] is None


@pytest.mark.parametrize("content", [b"data: [1,\n  b: {", b"- 1\n- 2\n", b"\xff\xfe\x00\x01"])
def test_broken_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(InvalidConfig) as raised:
        parse([f"--config={tmp_path / 'config.yaml'}"], default=Line)
    assert "\n" not in str(raised.value)
