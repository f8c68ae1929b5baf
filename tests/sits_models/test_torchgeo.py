"""TorchGeo's command trains on a planar store, and so do TorchGeo's own tasks."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from simulated import build_field
from torch import Tensor, nn

from sits_data import planarize
from sits_data.store import ColumnLabels, Parcels, Recipe
from sits_models import tasks
from sits_models.data import PlanarDataModule

pytestmark = [
    # TorchGeo's command chooses these, or the small data does.
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:SimCLR v1 "),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks: threads of several tests would mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of about 370 parcels of eleven classes."""
    folder = tmp_path_factory.mktemp("fields")
    build_field(folder, size_px=192, dates=24)
    recipe = Recipe(
        regions=Parcels(path=str(folder / "catalogue/parcels.gpkg")),
        labels=ColumnLabels(field="crop_code"),
    )
    return planarize(folder / "field.zarr", folder / "parcels.planar", recipe=recipe).out


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run `torchgeo fit` in this process, on the CPU; returns the checkpoint that it wrote."""

    def run(*settings: str) -> Path:
        from torchgeo.main import main

        quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
        where = ["--trainer.accelerator=cpu", f"--trainer.default_root_dir={tmp_path}"]
        # Lightning 2.6 uses a way to add types that jsonargparse has deprecated.
        monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
        monkeypatch.setattr(sys, "argv", ["torchgeo", "fit", *quiet, *where, *settings])
        main()
        (checkpoint,) = tmp_path.rglob("*.ckpt")
        return checkpoint

    return run


def samples(data: PlanarDataModule, network: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a network makes of all fixed samples: train, its labels, test, its labels."""
    network.eval()
    found: list[Tensor] = []
    for loader in (data.train_dataloader(), data.val_dataloader()):
        batches = [data.views.draw(batch) for batch in loader]
        with torch.inference_mode():
            found.append(torch.cat([network(batch["image"]) for batch in batches]))
        found.append(torch.cat([batch["label"] for batch in batches]))
    return tuple(found)  # type: ignore[return-value]


def majority(labels: Tensor, of_train: Tensor) -> float:
    """Accuracy of always naming the class that training shows most."""
    return float((labels == of_train.mode().values).float().mean())


def ready(root: Path, **settings: object) -> PlanarDataModule:
    data = PlanarDataModule(str(root), **settings)  # type: ignore[arg-type]
    data.setup("fit")
    return data


@pytest.mark.parametrize(
    ("name", "store", "settings", "outputs"),
    [
        ("RegionClassification", "fields", {"data.dates": 12}, (11,)),
        ("PixelSegmentation", "chips", {"data.length": 32}, (32, 11)),
        (
            "PixelSegmentation",
            "chips",
            {"model.backbone": "conv_lstm", "data.form": "chip", "model.loss": "dice"},
            (16, 16, 11),
        ),
        ("ChangeDetection", "changing", {"model.periods": "[2022-01-01]", "model.loss": "focal"}, (2,)),
        (
            "ChangeDetection",
            "changing",
            {
                "model.periods": "[2021-07-01,2022-01-01]",
                "model.each": "true",
                "data.targets": "[changed_in_2021,changed]",
            },
            (2,),
        ),
    ],
)
def test_our_tasks_are_trained_by_torchgeos_command(
    name: str,
    store: str,
    settings: dict[str, object],
    outputs: tuple[int, ...],
    request: pytest.FixtureRequest,
    fit: Callable[..., Path],
) -> None:
    root = request.getfixturevalue(store)
    checkpoint = fit(
        "--trainer.max_epochs=2",
        f"--model=sits_models.tasks.{name}",
        "--data=sits_models.data.PlanarDataModule",
        f"--data.root={root}",
        "--data.folds=2",
        "--data.gap_m=0",
        *(f"--{flag}={value}" for flag, value in settings.items()),
    )
    task = getattr(tasks, name).load_from_checkpoint(checkpoint, weights_only=True)
    data = ready(root, folds=2, gap_m=0, length=32, form=str(settings.get("data.form", "curve")))
    batch = data.views.draw(next(iter(data.val_dataloader())))
    if "data.targets" in settings:
        batch["target"] = torch.ones_like(batch["region"])
    with torch.inference_mode():
        scores = task.eval().predict_step(batch, 0)
    assert scores.shape == (len(batch["label"]), *outputs)
    torch.testing.assert_close(scores.sum(-1), torch.ones(scores.shape[:-1]))


def test_our_method_is_trained_by_torchgeos_command(fields: Path, fit: Callable[..., Path]) -> None:
    from sits_models.methods import SimCLR

    checkpoint = fit(
        "--trainer.max_steps=3",
        "--model=sits_models.methods.SimCLR",
        "--model.in_channels=4",
        "--data=sits_models.data.PlanarDataModule",
        f"--data.root={fields}",
    )
    state = torch.load(checkpoint, weights_only=True)
    assert state["global_step"] == 3
    assert isinstance(SimCLR.load_from_checkpoint(checkpoint, weights_only=True), SimCLR)


def test_torchgeos_classification_beats_the_majority(fields: Path, fit: Callable[..., Path]) -> None:
    from torchgeo.tasks import Classification

    checkpoint = fit(
        "--trainer.max_epochs=10",
        "--model=torchgeo.tasks.Classification",
        "--model.model=test_resnet",
        "--model.in_channels=4",
        "--model.num_classes=11",
        "--model.lr=0.003",
        "--data=sits_models.data.PlanarDataModule",
        f"--data.root={fields}",
        "--data.fixed=[16,32]",
        "--data.batch_size=32",
    )
    network = Classification.load_from_checkpoint(checkpoint, weights_only=True)
    data = ready(fields, fixed=(16, 32))
    _, of_train, scores, labels = samples(data, network)
    accuracy = float((scores.argmax(1) == labels).float().mean())
    assert accuracy > majority(labels, of_train) + 0.1


def test_linear_probe_on_torchgeos_simclr_beats_the_majority(
    fields: Path, fit: Callable[..., Path]
) -> None:
    from sklearn.linear_model import LogisticRegression
    from torchgeo.tasks import SimCLR

    checkpoint = fit(
        "--trainer.max_epochs=4",
        "--model=torchgeo.tasks.SimCLR",
        "--model.model=test_resnet",
        "--model.in_channels=4",
        "--model.version=1",
        "--model.layers=2",
        "--model.memory_bank_size=0",
        "--model.lr=0.1",
        "--model.size=32",
        "--data=sits_models.data.PlanarDataModule",
        f"--data.root={fields}",
        "--data.fixed=[16,32]",
        "--data.split=none",
    )
    backbone = SimCLR.load_from_checkpoint(checkpoint, weights_only=True).backbone
    data = ready(fields, fixed=(16, 32))
    train, of_train, test, labels = (one.numpy() for one in samples(data, backbone))
    centre, spread = train.mean(0), train.std(0) + 1e-6
    reader = LogisticRegression(max_iter=2000).fit((train - centre) / spread, of_train)
    accuracy = float(np.mean(reader.predict((test - centre) / spread) == labels))
    assert accuracy > majority(torch.from_numpy(labels), torch.from_numpy(of_train)) + 0.1


@pytest.mark.parametrize("store", ["parcels", "chips"])
def test_torchgeos_tasks_log_figures_of_our_samples(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from torchgeo.tasks import Classification

    root = request.getfixturevalue(store)
    data = PlanarDataModule(str(root), fixed=(8, 8), folds=3, gap_m=0, block_m=250, batch_size=8)
    logger = TensorBoardLogger(tmp_path)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=1,
        logger=logger,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Classification(model="test_resnet", in_channels=4, num_classes=12), data)
    assert b"image/0" in b"".join(path.read_bytes() for path in Path(logger.log_dir).iterdir())
