import json
import pickle
from pathlib import Path

import pytest
import torch
from batches import random_batch, random_chips
from torch import nn

from sits_data.manifest import LabelClass
from sits_models.checkpoint import (
    ModelCard,
    check_card,
    load_backbone,
    load_head,
    read_card,
    save_checkpoint,
)
from sits_models.data.normalisation import Normalisation
from sits_models.errors import CheckpointMismatch, NotACheckpoint
from sits_models.registry import Form, card, create, names

BANDS = ("B02", "B04", "B08")
CLASSES = (
    LabelClass(code=1, name="Wheat", colour="#ffcc00"),
    LabelClass(code=2, name="Maize", colour="#00cc00"),
)
CARD = ModelCard(
    backbone="planar_vit_nano",
    backbone_arguments={"in_channels": 3},
    bands=BANDS,
    resolution_m=10,
    mask="standard",
    normalisation=Normalisation(bands=BANDS, low=(0, 0, 0), high=(0.3, 0.3, 0.6)),
    views={"length": 64},
)


def batch(bands: int, form: Form = "curve") -> dict[str, torch.Tensor]:
    if form == "chip":
        return dict(random_chips(bands=bands))  # type: ignore[arg-type]
    return dict(random_batch(size=2, bands=bands))  # type: ignore[arg-type]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    card = CARD.model_copy(update={"kind": "classifier", "classes": CLASSES})
    backbone = create("backbones", card.backbone, in_channels=3)
    save_checkpoint(tmp_path / "run", backbone, card, nn.Linear(96, 2))
    return tmp_path / "run"


@pytest.mark.parametrize("name", names("backbones"))
def test_exported_and_loaded_gives_the_same_features(name: str, tmp_path: Path) -> None:
    bands = 10 if name == "presto" else 3
    backbone = create("backbones", name, in_channels=bands).eval()
    shown = batch(bands, card("backbones", name).form)
    update = {"backbone": name, "backbone_arguments": {"in_channels": bands}}
    save_checkpoint(tmp_path / "run", backbone, CARD.model_copy(update=update))
    for path in (tmp_path / "run", tmp_path / "run/backbone.safetensors"):
        loaded = load_backbone(path)
        assert not loaded.training
        with torch.no_grad():
            for ours, theirs in zip(backbone(shown), loaded(shown), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_card_and_head_come_back(saved: Path) -> None:
    card = read_card(saved)
    assert card.model_copy(update={"files": {}}) == CARD.model_copy(
        update={"kind": "classifier", "classes": CLASSES}
    )
    assert set(card.files) == {"backbone.safetensors", "head.safetensors"}
    assert load_head(saved).weight.shape == (2, 96)
    assert load_head(saved / "backbone.safetensors").bias.shape == (2,)


def test_saving_a_backbone_again_removes_the_old_head(saved: Path) -> None:
    save_checkpoint(saved, create("backbones", "planar_vit_nano", in_channels=3), CARD)
    assert not (saved / "head.safetensors").exists()
    with pytest.raises(NotACheckpoint, match=r"without a head.*run probe or finetune"):
        load_head(saved)


@pytest.mark.parametrize("name", ["last.ckpt", "model.pt", "model.pth"])
def test_pickles_are_refused_unread(name: str, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(NotACheckpoint, match=r"is a pickle.*give the folder of the run"):
        load_backbone(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def damage(folder: Path, how: str) -> None:
    card, weights = folder / "card.json", folder / "backbone.safetensors"
    content = json.loads(card.read_text())
    match how:
        case "no card":
            card.unlink()
        case "no weights":
            weights.unlink()
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:1000])
        case "flipped bit":
            data = bytearray(weights.read_bytes())
            data[-1] ^= 1
            weights.write_bytes(data)
        case "not JSON":
            card.write_text("{")
        case "newer":
            card.write_text(json.dumps({**content, "schema_version": 2}))
        case "other backbone":
            card.write_text(json.dumps({**content, "backbone": "planar_vit_tiny"}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no card", "has no card.json that can be read"),
        ("no weights", "backbone.safetensors is missing or cannot be read"),
        ("cut weights", "is damaged or is not the one"),
        ("flipped bit", "is damaged or is not the one"),
        ("not JSON", "must be a card of version 1"),
        ("newer", "must be a card of version 1, schema_version is not"),
        ("other backbone", "do not fit planar_vit_tiny as the card makes it"),
    ],
)
def test_damage_is_named(saved: Path, how: str, message: str) -> None:
    damage(saved, how)
    with pytest.raises(NotACheckpoint) as raised:
        load_backbone(saved)
    assert message in str(raised.value)


def test_data_like_that_of_training_passes() -> None:
    check_card(CARD, bands=list(BANDS), resolution_m=10.0)


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"bands": ("B02", "B04")}, ["bands B02, B04, B08 in the checkpoint, B02, B04 in the data"]),
        ({"bands": ("B04", "B02", "B08")}, ["B04, B02, B08 in the data"]),
        ({"resolution_m": 20}, ["resolution 10 m in the checkpoint, 20 m in the data"]),
        ({"units": "DN"}, ["units reflectance in the checkpoint, DN in the data"]),
        ({"resolution_m": 20, "bands": ("B02",)}, ["bands", "resolution"]),
    ],
)
def test_every_difference_is_named(changes: dict[str, object], messages: list[str]) -> None:
    with pytest.raises(CheckpointMismatch) as raised:
        check_card(CARD, **{"bands": BANDS, "resolution_m": 10, **changes})  # type: ignore[arg-type]
    assert all(message in str(raised.value) for message in messages)
