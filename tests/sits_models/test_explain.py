import csv
import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import rasterio
import torch
from batches import random_batch, random_chips
from checkpoints import write_backbone
from click.testing import CliRunner
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sits_data.errors import InvalidRequest, OutputExists
from sits_data.store import open_store
from sits_models.backbones import Features
from sits_models.backbones.canvas import paint, unpaint
from sits_models.checkpoint import load_backbone, read_card, save_checkpoint
from sits_models.cli import main
from sits_models.contract import Batch
from sits_models.data.residence import open_table
from sits_models.errors import CheckpointMismatch, InvalidConfig
from sits_models.explain import explain
from sits_models.explain.attention import attention, relevance
from sits_models.explain.cam import grad_cam, weigh
from sits_models.explain.intruders import (
    intersection_over_union,
    judge_intruders,
    plant,
    two_clusters,
)
from sits_models.explain.observe import WAYS, how_to_observe, reading_of
from sits_models.explain.saliency import Classifier, Saliency
from sits_models.explain.semantic import Semantic, back_project, nothing_yet
from sits_models.explain.temporal import Profiles
from sits_models.registry import create
from sits_models.report import report

BACKBONES = ["planar_vit_nano", "deepstar_cviu2021", "timm_resnet18", "ltae"]


def classifier(name: str, classes: int = 3, **arguments: object) -> Classifier:
    torch.manual_seed(3)
    backbone = create("backbones", name, in_channels=4, **arguments).eval()
    return Classifier(backbone, nn.Linear(int(backbone.embed_dim), classes))


def as_dict(batch: Batch) -> dict[str, Tensor]:
    return cast(dict[str, Tensor], batch)


class OneMap(nn.Module):
    """A network of one map: the first band, in cells of one observation."""

    embed_dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Identity()

    @property
    def last_maps(self) -> nn.Module:
        return self.maps

    def forward(self, batch: Batch) -> Features:
        maps = self.maps(batch["image"][:, :1])
        pixels = rearrange(maps, "b d t l -> b l d t").mean(-1)
        return Features(pixels.mean(1), pixels)

    def spread(self, maps: list[Tensor], batch: Batch) -> Tensor:
        return maps[0] * batch["clear"]


def test_grad_cam_of_one_map_by_hand() -> None:
    # The score is w · mean(A), so g = w / n everywhere and, with S = ΣA, the weight of the map is
    # n · g · g² / (2 g² + S g³) = w / (2 + S w / n).
    batch = random_batch(clear=1.0)
    head = nn.Linear(1, 2, bias=False)
    nn.init.constant_(head.weight, 0.5)
    found = grad_cam(Classifier(OneMap(), head), batch, torch.zeros(3, dtype=torch.int64))
    maps = batch["image"][:, 0]
    weight = 0.5 / (2 + 0.5 * maps.mean((1, 2)))
    torch.testing.assert_close(found.values, (weight[:, None, None] * maps).relu())


def test_a_map_that_no_score_depends_on_counts_nothing() -> None:
    assert weigh(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).eq(0).all()


def test_relevance_by_hand() -> None:
    # Two tokens, one head: R = I + relu(A·g), then R + relu(A'·g') R.
    first = torch.tensor([[[[0.5, 0.5], [0.25, 0.75]]]])
    last = torch.tensor([[[[0.2, 0.8]]]])  # only the first token looks
    slope = torch.tensor([[[[1.0, -1.0], [2.0, 0.0]]]])
    told = relevance([first, last], [slope, torch.ones(1, 1, 1, 2)])
    before = torch.tensor([[1.5, 0.0], [0.5, 1.0]])
    torch.testing.assert_close(told[0], before[:1] + torch.tensor([[0.2, 0.8]]) @ before)


@pytest.mark.parametrize("name", BACKBONES)
def test_saliency_is_where_something_was_clear(name: str) -> None:
    model, batch = classifier(name), random_batch(length=24)
    found = WAYS[how_to_observe(model.backbone)](model, batch, None)
    assert found.values.shape == batch["clear"].shape
    assert (found.values >= 0).all()
    assert (found.values.amax((1, 2)) > 0).any()
    assert found.values[~batch["clear"]].eq(0).all()
    assert found.target.equal(found.chances.argmax(1))


@pytest.mark.parametrize("name", BACKBONES)
def test_looking_leaves_the_model_as_it_was(name: str) -> None:
    model, batch = classifier(name), random_batch(length=24)
    with torch.no_grad():
        before = model.backbone(batch).embedding
    hooks = [len(module._forward_hooks) for module in model.backbone.modules()]
    WAYS[how_to_observe(model.backbone)](model, batch, None)
    assert [len(module._forward_hooks) for module in model.backbone.modules()] == hooks
    assert all("attend" not in vars(module) for module in model.backbone.modules())
    assert all(weight.grad is None for weight in model.backbone.parameters())
    with torch.no_grad():
        assert model.backbone(batch).embedding.equal(before)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_frozen_network_is_explained_alike(name: str) -> None:
    model, batch = classifier(name), random_batch(length=24)
    way = WAYS[how_to_observe(model.backbone)]
    free = way(model, batch, None)
    model.backbone.requires_grad_(False)
    model.head.requires_grad_(False)
    torch.testing.assert_close(way(model, batch, None).values, free.values)


@pytest.mark.parametrize("name", BACKBONES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_what_is_masked_changes_nothing(name: str, seed: int) -> None:
    model, batch = classifier(name), random_batch(seed, length=24)
    way = WAYS[how_to_observe(model.backbone)]
    other = as_dict(batch).copy()
    noise = torch.randn(batch["image"].shape, generator=torch.Generator().manual_seed(seed))
    other["image"] = torch.where(batch["clear"][:, None], batch["image"], 9 * noise)
    one, two = way(model, batch, None), way(model, cast(Batch, other), None)
    torch.testing.assert_close(one.values, two.values, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", BACKBONES)
def test_samples_of_a_batch_do_not_know_of_each_other(name: str) -> None:
    model, batch = classifier(name), random_batch(length=24)
    way = WAYS[how_to_observe(model.backbone)]
    alone = cast(Batch, {key: value[1:2] for key, value in as_dict(batch).items()})
    torch.testing.assert_close(
        way(model, batch, None).values[1:2], way(model, alone, None).values, atol=1e-6, rtol=1e-3
    )


def test_attention_is_what_the_fused_kernel_works_out() -> None:
    model, batch = classifier("planar_vit_nano"), random_batch(length=24)
    found = attention(model, batch)
    with torch.no_grad():
        scores = model.head(model.backbone(batch).embedding)
    torch.testing.assert_close(found.chances, scores.softmax(1), atol=1e-5, rtol=1e-4)


def test_chips_have_saliency_by_pixel() -> None:
    model, batch = classifier("utae"), random_chips(height=8, width=6)
    found = WAYS["gradient"](model, batch, None)
    assert found.values.shape == (3, 5, 48)
    assert found.values[~batch["clear"].flatten(2)].eq(0).all()


@pytest.mark.parametrize("fit", ["centre", "repeat"])
def test_the_canvas_is_read_where_it_was_painted(fit: str) -> None:
    batch = random_batch(length=20, clear=1.0)
    batch["dates"] = torch.arange(18_993, 18_993 + 7 * 50, 50).repeat(3, 1)  # 2022
    shown = paint(as_dict(batch), bands=[0], side=73, fit=fit)  # type: ignore[arg-type]
    back = unpaint(shown.image[:, 0], as_dict(batch), fit=fit)  # type: ignore[arg-type]
    wanted = ((batch["image"][:, 0] + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(back, wanted)  # a step of the canvas is 5 days: every date is one


def saliency(
    values: list[list[float]], target: list[int], chances: list[list[float]] | None = None
) -> Saliency:
    column = torch.tensor(values)[:, None]  # (B, 1, L)
    sure = torch.tensor(chances) if chances else torch.eye(2)[target]
    return Saliency(column, sure, torch.tensor(target))


def test_a_map_of_two_walks_by_hand() -> None:
    # Pixels 0 … 3; the walks share pixel 1, which the second comes to twice; nobody sees pixel 3.
    found = saliency([[0.5, 0.4, 0.0], [0.1, 0.6, 0.9]], [0, 1])
    rows = torch.tensor([[0, 1, -1], [1, 1, 2]])
    made = back_project(found, rows, 4)
    assert made.strength.tolist() == [
        [0.5, 0.0],
        [pytest.approx(0.4), pytest.approx(0.6)],
        [0.0, pytest.approx(0.9)],
        [0.0, 0.0],
    ]
    assert made.named.tolist() == [0, 1, 1, -1]
    assert made.visits.tolist() == [1, 3, 1, 0]
    p = 0.4
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)) / np.log(2)
    assert made.entropy[:3].tolist() == pytest.approx([0, entropy, 0])
    assert made.entropy[3].isnan()


def test_probabilities_weigh_walks() -> None:
    found = saliency([[0.5], [0.6]], [0, 1], [[0.9, 0.1], [0.4, 0.6]])
    rows = torch.zeros(2, 1, dtype=torch.int64)
    assert back_project(found, rows, 1).named.tolist() == [0]
    assert back_project(found, rows, 1, weighted=False).named.tolist() == [1]


def test_where_nobody_looks_most_images_name_the_pixel() -> None:
    found = saliency([[0.0], [0.0], [0.0]], [1, 0, 1])
    assert back_project(found, torch.zeros(3, 1, dtype=torch.int64), 1).named.tolist() == [1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
def test_the_scale_of_saliency_does_not_matter(seed: int, scale: float) -> None:
    draws = torch.Generator().manual_seed(seed)
    values = torch.rand(6, 3, 5, generator=draws)
    chances = torch.rand(6, 4, generator=draws).softmax(1)
    found = Saliency(values, chances, chances.argmax(1))
    rows = torch.randint(-1, 9, (6, 5), generator=draws)
    one = back_project(found, rows, 9)
    other = back_project(found._replace(values=values * scale), rows, 9)
    assert one.named.equal(other.named)


def test_parts_are_joined_into_what_they_are_together() -> None:
    found = saliency([[0.5, 0.4], [0.1, 0.6]], [0, 1])
    rows = torch.tensor([[0, 1], [1, 2]])
    together = back_project(found, rows, 3)
    made: Semantic = nothing_yet(3, 2)
    for one in range(2):
        part = Saliency(*(value[one : one + 1] for value in found))
        made = made.joined(back_project(part, rows[one : one + 1], 3))
    assert made.strength.equal(together.strength)
    assert made.images.equal(together.images)


def test_dates_of_two_classes_by_hand() -> None:
    profiles = Profiles(classes=3, dates=6)
    first = torch.tensor([9.0, 9, 0, 0, 0, 0])
    second = torch.tensor([0.0, 0, 0, 0, 0, 8])
    for values, target in ((first, 0), (second, 1), (second / 2, 1)):
        profiles.add(values[None, :, None], torch.tensor([target]))
    assert profiles.images.tolist() == [1, 2, 0]
    assert profiles.mean[1].tolist() == [0, 0, 0, 0, 0, 6]
    assert np.isnan(profiles.mean[2]).all()
    assert profiles.kept().tolist() == [True, True, False, False, False, True]


def test_an_intersection_keeps_what_every_image_looks_at() -> None:
    profiles = Profiles(classes=1, dates=4)
    profiles.add(torch.tensor([[9.0, 9, 0, 0], [0, 9, 9, 0]])[..., None], torch.tensor([0, 0]))
    assert profiles.kept("intersection").tolist() == [False, True, False, False]
    assert profiles.kept("quantile", quantile=0.25).tolist() == [True, True, True, False]


@pytest.mark.parametrize("quantile", [-0.1, 1.1])
def test_quantiles_have_a_range(quantile: float) -> None:
    with pytest.raises(InvalidRequest, match="a quantile must be from 0 to 1"):
        Profiles(classes=1, dates=4).kept("quantile", quantile=quantile)


def made_up(seed: int, *, split: bool = False, size: int = 32) -> tuple[Batch, Tensor]:
    """Images of two classes that differ in the first band; of a split one, half of the columns do."""
    batch = random_batch(seed, size=size, length=32, clear=0.9)
    batch["dates"] = torch.arange(18_993, 18_993 + 7 * 50, 50).expand(size, -1)
    label = torch.arange(size) % 2
    level = torch.where(label == 1, 0.8, -0.8)[:, None, None].expand(-1, 7, 32).clone()
    if split:
        level[:, :, 16:] = 0.8
        level[:, :, :16] = -0.8
    batch["image"] = batch["image"] * 0.2
    batch["image"][:, 0] += level
    return batch, label


@pytest.mark.parametrize("name", ["planar_vit_nano", "timm_resnet18"])
def test_saliency_lies_on_the_columns_that_speak_for_the_class(name: str) -> None:
    model = classifier(name, classes=2)
    optimizer = torch.optim.Adam([*model.backbone.parameters(), *model.head.parameters()], 1e-3)
    model.backbone.train()
    for step in range(30):
        batch, label = made_up(step)
        loss = nn.functional.cross_entropy(model.head(model.backbone(batch).embedding), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.backbone.eval()
    batch, _ = made_up(99, split=True)
    way = WAYS[how_to_observe(model.backbone)]
    for target, columns in ((1, slice(16, 32)), (0, slice(0, 16))):
        found = way(model, batch, torch.full((32,), target)).values.sum((0, 1))
        assert found[columns].sum() > 0.6 * found.sum()


def test_intersection_over_union_by_hand() -> None:
    true = np.array([True, True, False, False, False])
    found = np.array([True, False, True, False, False])
    owner = np.array([0, 0, 0, 1, 1])
    assert intersection_over_union(true, found, owner).tolist() == [pytest.approx(1 / 3), 1.0]


def test_intruders_are_other_fields_pixels(parcels: Path) -> None:
    table = open_table(parcels, resident="always")
    planted = plant(table, 12, seed=1)
    changed = (planted.table.pixels[0] != table.pixels[0]).any(1)
    dates = int(table.dated[0])
    masks = np.split(planted.mask, np.cumsum(planted.size)[:-1])
    touched = 0
    for region, mask in zip(planted.regions, masks, strict=True):
        first = int(table.first_cell[region])
        cells = changed[first : first + len(mask) * dates].view(len(mask), dates).any(1).numpy()
        assert not cells[~mask].any()
        assert abs(mask.mean() - 0.25) < 0.04
        touched += int(cells.sum())
    assert touched == int(changed.view(-1, dates).any(1).sum())  # nobody else
    assert planted.mask.sum() * 0.9 < touched <= planted.mask.sum()
    clusters = two_clusters(planted)
    verdict = judge_intruders(planted, planted.mask, {"k-means": clusters})
    assert verdict.found.value == 1
    assert 0.2 < verdict.floors["k-means"].value < 1
    assert "above k-means" in verdict.text


def test_a_map_that_finds_less_is_said_to_be_below(parcels: Path) -> None:
    planted = plant(open_table(parcels, resident="always"), 12)
    verdict = judge_intruders(planted, ~planted.mask, {"a floor": planted.mask})
    assert verdict.above["a floor"].value == -1
    assert "below a floor" in verdict.text


def test_intruders_need_classes(one_class: Path) -> None:
    with pytest.raises(InvalidRequest, match="leave --intruders out"):
        plant(open_table(one_class, resident="always"), 5)


def write_classifier(folder: Path, store: Path, **card: object) -> Path:
    """A classifier with random weights of the store's classes."""
    write_backbone(folder, **card)
    made = read_card(folder)
    backbone = load_backbone(folder)
    classes = open_store(store).manifest.classes
    torch.manual_seed(4)
    head = nn.Linear(int(backbone.embed_dim), len(classes))  # type: ignore[arg-type]
    said = made.model_copy(update={"kind": "classifier", "classes": classes})
    save_checkpoint(folder, backbone, said, head)
    return folder


def test_explain_leaves_maps_tables_and_figures(parcels: Path, tmp_path: Path) -> None:
    checkpoint = write_classifier(tmp_path / "run", parcels)
    done = explain(checkpoint, parcels, tmp_path / "told", figures=2, intruders=10)
    store = open_store(parcels)
    assert done.how == "attention"
    assert done.regions == len(store)
    assert done.coverage == 1
    folder = tmp_path / "told"
    pictures = sorted(file.name for file in folder.glob("region-*.png"))
    assert len(pictures) == 2
    with rasterio.open(folder / "semantic.tif") as raster:
        assert raster.shape == store.manifest.grid.shape
        named = raster.read(1)
        names = raster.tags(1)
    with rasterio.open(folder / "detail.tif") as raster:
        assert raster.descriptions == ("saliency", "images", "entropy")
        images = raster.read(2)
    inside = np.zeros(named.shape, bool)
    for number in range(len(store)):
        y, x = store.region(number).yx.T
        inside[y, x] = True
    assert ((named != 255) == inside).all()
    assert (np.isfinite(images) == inside).all()
    assert names["class_0"] == store.manifest.classes[0].name
    lines = list(csv.DictReader((folder / "regions.csv").read_text().splitlines()))
    assert [int(line["region"]) for line in lines] == list(range(len(store)))
    by_hand = [
        np.mean(named[tuple(store.region(number).yx.T)] != store.labels[number])
        for number in range(len(store))
    ]
    said = [float(line["otherwise"]) for line in lines]
    labelled = store.labels >= 0
    assert np.array(said)[labelled] == pytest.approx(np.array(by_hand)[labelled], abs=1e-4)
    dates = list(csv.DictReader((folder / "dates.csv").read_text().splitlines()))
    assert [line["date"] for line in dates] == store.dates.astype("datetime64[D]").astype(str).tolist()
    assert sum(int(line["kept"]) for line in dates) == done.kept
    about = json.loads((folder / "explain.json").read_text())
    assert about["intruders"]["regions"] == 10
    page = report([folder], tmp_path / "page.html").read_text()
    assert page.count("data:image/png") == 4  # dates, the map, two regions
    assert "Planted intruders: intersection over union" in page
    assert done.intruders is not None
    assert set(done.intruders.floors) == {"the same classifier on single pixels", "k-means"}


def test_walks_are_shown_as_in_training(parcels: Path, tmp_path: Path) -> None:
    views = {"length": 12, "views": [{"length": 12, "order": "walk:iid", "walks": 3}]}
    checkpoint = write_classifier(tmp_path / "run", parcels, views=views)
    told = CliRunner().invoke(
        main,
        ["explain", "--checkpoint", str(checkpoint), "--store", str(parcels), "--region", "3",
         "--region", "1", "--out", str(tmp_path / "told"), "--json"],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["regions"], found["images"]) == (2, 6)
    pictures = {file.name for file in (tmp_path / "told").glob("region-*.png")}
    assert pictures == {"region-1.png", "region-3.png"}
    again = explain(checkpoint, parcels, tmp_path / "told", regions=[1, 3], overwrite=True)
    assert again.coverage == found["coverage"]


def test_readings_of_a_card(parcels: Path, tmp_path: Path) -> None:
    card = read_card(write_classifier(tmp_path / "run", parcels))
    assert reading_of(card, "curve").walks is None
    walked = reading_of(card, "curve", walks=0.5, length=10)
    assert walked.walks is not None
    assert (walked.walks.order, walked.walks.walks, walked.walks.length) == ("walk:iid", 0.5, 10)
    drawn = reading_of(card, "curve", order="walk:onward")
    assert drawn.walks is not None
    assert drawn.walks.walks == 0.7
    assert reading_of(card, "curve", order="snake").curve == "snake"
    with pytest.raises(InvalidConfig, match="no walks, order or length"):
        reading_of(card, "chip", walks=3)


def test_what_explain_refuses(parcels: Path, tmp_path: Path) -> None:
    checkpoint = write_classifier(tmp_path / "run", parcels)
    with pytest.raises(InvalidRequest, match="choose others with --region"):
        explain(checkpoint, parcels, tmp_path / "told", regions=[9999])
    with pytest.raises(InvalidRequest, match="a quantile must be"):
        explain(checkpoint, parcels, tmp_path / "told", rule="quantile", quantile=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(OutputExists, match="is not what sits-models explain wrote"):
        explain(checkpoint, parcels, tmp_path / "mine", overwrite=True)
    strange = read_card(checkpoint)
    others = tuple(one.model_copy(update={"code": f"x{one.code}"}) for one in strange.classes)
    head = nn.Linear(24, len(others))
    backbone = load_backbone(checkpoint)
    save_checkpoint(tmp_path / "other", backbone, strange.model_copy(update={"classes": others}), head)
    with pytest.raises(CheckpointMismatch, match="must share classes"):
        explain(tmp_path / "other", parcels, tmp_path / "told")
    assert not (tmp_path / "told").exists()
