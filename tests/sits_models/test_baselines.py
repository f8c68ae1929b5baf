"""Every supervised baseline: what it must ignore, what it must not, and that it learns."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import cast

import pytest
import torch
from batches import random_batch, random_chips
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torchgeo.models.convlstm import ConvLSTMCell

from sits_models.backbones import Features
from sits_models.backbones.fourier import day_of_year
from sits_models.checkpoint import ModelCard, load_backbone, save_checkpoint
from sits_models.contract import Batch
from sits_models.data.normalisation import Normalisation
from sits_models.errors import InvalidConfig
from sits_models.registry import card, create

CLOSE = {"atol": 1e-5, "rtol": 0}
# Small ones of each: name in the catalogue, settings.
MODELS: dict[str, tuple[str, dict[str, object]]] = {
    "tempcnn": ("tempcnn", {"filters": 16, "dense": 32, "steps": 24}),
    "lstm": ("lstm", {"hidden": 24, "layers": 2}),
    "gru-both-ways": ("gru", {"hidden": 16, "layers": 2, "bidirectional": True}),
    "series_transformer": ("series_transformer", {"dim": 32, "depth": 2, "hidden": 48}),
    "ltae": ("ltae", {"hidden": 32, "dim": 64, "out": 32, "heads": 8}),
    "pse_ltae": ("pse_ltae", {"hidden": 32, "dim": 64, "out": 32, "heads": 8}),
    "resnet": ("timm_resnet18", {"network": "resnet10t", "stride": 8}),
    "squeeze-excite": ("timm_resnet18", {"network": "mobilenetv3_small_050", "stride": 32}),
    "convnext": ("timm_convnext_atto", {"network": "test_convnext", "stride": 8}),
    "regular": (
        "regular_dates",
        {"of": "series_transformer", "every": 20, "of_args": {"dim": 32, "depth": 1, "hidden": 48}},
    ),
    "utae": ("utae", {"encoder": (16, 16, 32), "decoder": (16, 16, 32), "heads": 8, "dim": 64}),
    "conv_lstm": ("conv_lstm", {"hidden": 16}),
}
CHIPS = {"utae", "conv_lstm"}
ALL = pytest.mark.parametrize("key", MODELS)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks: threads would mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def model(key: str) -> nn.Module:
    """The model with norms that have seen data, so that none is the identity."""
    made = new_model(key)
    for seed in range(8):
        made(batch_for(key)(seed, clear=0.8))
    return made.eval()


def new_model(key: str) -> nn.Module:
    torch.manual_seed(0)
    name, settings = MODELS[key]
    return cast(nn.Module, create("backbones", name, in_channels=4, **settings))


def batch_for(key: str) -> Callable[..., Batch]:
    return random_chips if key in CHIPS else random_batch


def run(key: str, batch: Batch) -> Features:
    with torch.no_grad():
        return cast(Features, model(key)(batch))


def changed(batch: Batch, **new: Tensor) -> Batch:
    return cast(Batch, {**batch, **new})


def padded(batch: Batch, dates: int, positions: int) -> Batch:
    """More dates and positions that nobody saw, with junk in them."""
    time = 1 if "index" not in batch else 2
    place = {"image": (-2, -1), "clear": (-2, -1)} if time == 1 else {"image": (-1,), "clear": (-1,)}
    junk = {"image": 9.0, "clear": 0, "dates": 0, "pad_mask": 0}
    more = {}
    for key, value in junk.items():
        tensor = cast(Tensor, batch[key])  # type: ignore[literal-required]
        axes = [
            (time if key == "image" else 1, dates),
            *((axis, positions) for axis in place.get(key, ())),
        ]
        for axis, by in axes:
            shape = list(tensor.shape)
            shape[axis] = by
            tensor = torch.cat([tensor, torch.full(shape, value, dtype=tensor.dtype)], axis)
        more[key] = tensor
    return changed(batch, **more)


def cut(pixels: Tensor, like: Tensor) -> Tensor:
    """Pixels without those that were appended."""
    return pixels[tuple(slice(size) for size in like.shape[:-1])]


@ALL
@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    dates=st.integers(0, 9),
    positions=st.integers(0, 20),
    clear=st.sampled_from([0.05, 0.5, 1.0]),
)
def test_padding_moves_nothing(key: str, seed: int, dates: int, positions: int, clear: float) -> None:
    batch = batch_for(key)(seed, clear=clear)
    before, after = run(key, batch), run(key, padded(batch, dates, positions))
    torch.testing.assert_close(after.embedding, before.embedding, **CLOSE)
    seen = batch["clear"].any(1)
    torch.testing.assert_close(cut(after.pixels, before.pixels)[seen], before.pixels[seen], **CLOSE)


@ALL
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), junk=st.sampled_from([1e4, -3.0, float("nan"), float("inf")]))
def test_values_under_a_mask_move_nothing(key: str, seed: int, junk: float) -> None:
    batch = batch_for(key)(seed)
    clear = batch["clear"].unsqueeze(2 if key in CHIPS else 1)
    after = run(key, changed(batch, image=torch.where(clear, batch["image"], torch.tensor(junk))))
    before = run(key, batch)
    torch.testing.assert_close(after.embedding, before.embedding, **CLOSE)
    torch.testing.assert_close(after.pixels, before.pixels, **CLOSE)


@ALL
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(4)))
def test_samples_do_not_see_each_other(key: str, seed: int, order: list[int]) -> None:
    batch = batch_for(key)(seed, size=4)
    moved = cast(Batch, {name: value[order] for name, value in batch.items()})  # type: ignore[index]
    alone = cast(Batch, {name: value[:1] for name, value in batch.items()})  # type: ignore[index]
    together = run(key, batch)
    torch.testing.assert_close(run(key, moved).embedding, together.embedding[order], **CLOSE)
    torch.testing.assert_close(run(key, moved).pixels, together.pixels[order], **CLOSE)
    torch.testing.assert_close(run(key, alone).embedding, together.embedding[:1], **CLOSE)


@ALL
@pytest.mark.parametrize("which", [0, 2, 4])
def test_a_date_without_anything_clear_is_no_date(key: str, which: int) -> None:
    batch = batch_for(key)(3, dates=5)
    cloudy = batch["clear"].clone()
    cloudy[:, which] = False
    left = [number for number in range(5) if number != which]
    time = 1 if key in CHIPS else 2
    without = changed(
        batch, clear=cloudy[:, left], dates=batch["dates"][:, left], pad_mask=batch["pad_mask"][:, left],
        image=batch["image"].index_select(time, torch.tensor(left)),
    )  # fmt: skip
    before, after = run(key, changed(batch, clear=cloudy)), run(key, without)
    torch.testing.assert_close(after.embedding, before.embedding, **CLOSE)


@ALL
def test_values_and_dates_that_are_seen_do_matter(key: str) -> None:
    batch, before = batch_for(key)(), run(key, batch_for(key)()).embedding
    # Half of the dates move: a season that is only shifted as a whole moves other features.
    later = batch["dates"] + torch.arange(batch["dates"].shape[1]) * 9
    for new in ({"image": batch["image"] + 0.5}, {"dates": later}):
        assert (run(key, changed(batch, **new)).embedding - before).abs().max() > 1e-4, set(new)


@ALL
def test_the_embedding_is_the_mean_of_the_seen_pixels(key: str) -> None:
    batch = batch_for(key)(clear=0.1)
    found, seen = run(key, batch), batch["clear"].any(1)
    assert found.embedding.shape == (3, model(key).embed_dim)
    assert found.pixels.shape == (*seen.shape, model(key).embed_dim)
    for row in range(3):
        mean = found.pixels[row][seen[row]].mean(0)
        torch.testing.assert_close(found.embedding[row], mean, **CLOSE)


@ALL
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("size", "dates", "clear"), [(1, 1, 1.0), (1, 1, 0.0), (3, 4, 0.0), (2, 4, 0.3)]
)
def test_small_and_unseen_samples_stay_finite(
    key: str, training: bool, size: int, dates: int, clear: float
) -> None:
    made = new_model(key).train(training)
    one = {"height": 1, "width": 1} if key in CHIPS else {"length": 1}
    found: Features = made(batch_for(key)(size=size, dates=dates, clear=clear, **one))
    (found.embedding.sum() + found.pixels.square().sum()).backward()
    assert torch.isfinite(found.pixels).all()
    for name, weight in made.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
    assert all(torch.isfinite(one.float()).all() for one in made.buffers())


@ALL
def test_every_weight_learns(key: str) -> None:
    made = new_model(key)
    optimizer = torch.optim.SGD(made.parameters(), lr=1e-2)
    for seed in range(2):  # residual branches of a ResNet begin at 0
        optimizer.zero_grad()
        found: Features = made(batch_for(key)(seed))
        (found.embedding * torch.randn(found.embedding.shape)).sum().backward()
        optimizer.step()
    idle = {name for name, weight in made.named_parameters() if not weight.grad.any()}
    assert not idle


@ALL
def test_a_checkpoint_gives_the_same_features(key: str, tmp_path: Path) -> None:
    name, settings = MODELS[key]
    bands = ("B02", "B03", "B04", "B08")
    said = ModelCard(
        backbone=name,
        backbone_arguments=json.loads(json.dumps({"in_channels": 4, **settings})),
        bands=bands,
        resolution_m=10,
        mask="standard",
        normalisation=Normalisation(bands=bands, low=(0.02,) * 4, high=(0.4,) * 4),
    )
    save_checkpoint(tmp_path, model(key), said)
    with torch.no_grad():
        found = load_backbone(tmp_path)(batch_for(key)())
    torch.testing.assert_close(found.embedding, run(key, batch_for(key)()).embedding)


def season_task(key: str, seed: int, count: int) -> tuple[Batch, Tensor]:
    """Two classes that peak in May or in September; everything else is alike."""
    draws = torch.Generator().manual_seed(seed)
    batch = batch_for(key)(seed, size=count, bands=2, dates=14, clear=0.7)
    days = torch.randint(0, 365, (count, 14), generator=draws).sort(1).values
    label = torch.arange(count) % 2
    peak = torch.where(label == 0, 135, 258)
    green = torch.exp(-(((days - peak[:, None]) / 35) ** 2))
    shape = (count, 14, 1, 1, 1) if key in CHIPS else (count, 1, 14, 1)
    image = 0.2 * batch["image"] + 2 * green.view(shape)
    return changed(batch, image=image, dates=days + 18_628), label


@ALL
def test_a_tiny_task_overfits(key: str) -> None:
    torch.manual_seed(1)
    name, settings = MODELS[key]
    made = create("backbones", name, in_channels=2, **settings)
    head = nn.Linear(made.embed_dim, 2)
    optimizer = torch.optim.Adam([*made.parameters(), *head.parameters()], lr=5e-3)
    batch, label = season_task(key, 0, 16)
    for _ in range(60):
        optimizer.zero_grad()
        loss = functional.cross_entropy(head(made(batch).embedding), label)
        loss.backward()
        optimizer.step()
    made.eval()
    with torch.no_grad():
        assert (head(made(batch).embedding).argmax(1) == label).float().mean() > 0.9


@pytest.mark.parametrize(
    ("name", "settings", "left_out", "original"),
    [
        # 20 classes; the head is two convolutions of 3 x 3 with their norms.
        ("utae", {}, (32 * 32 * 9 + 3 * 32) + (32 * 20 * 9 + 3 * 20), 1_087_260),
        # The classifier, four measures of shape, and a norm of 24 dates for one of any number.
        ("pse_ltae", {}, 11_188 + 4 * 128 + 2 * 256 * 24 - 2 * 256, 143_124),
        ("ltae", {}, 2 * 256 * 24 - 2 * 256 - (10 * 128 + 128), 112_000),  # the projection is ours
        ("series_transformer", {"in_channels": 13}, 9 * 64 + 9, 168_969),
        ("timm_resnet18", {"in_channels": 0, "stride": 32}, 512 * 1000 + 1000, 11_689_512),
        # 1 235 496 with the classifier of 1 000 classes.
        ("deepstar_cviu2021", {"in_channels": 3}, 512 * 1000 + 1000, 1_235_496),
        ("lstm", {"year_waves": 0}, 0, 4 * 256 * 268 + 2 * 4 * 256 * 514),
        ("gru", {"year_waves": 0}, 0, 3 * 256 * 268 + 2 * 3 * 256 * 514),
        ("conv_lstm", {"year_waves": 0}, 0, 256 * (75 * 9 + 1) + 256 * (128 * 9 + 1)),
        (
            "tempcnn",
            {"in_channels": 3, "steps": 149},
            0,
            (3 * 64 * 5 + 3 * 64) + 2 * (64 * 64 * 5 + 3 * 64) + (64 * 149 * 256 + 3 * 256),
        ),
    ],
)
def test_weights_are_as_many_as_those_of_the_original(
    name: str, settings: dict[str, int], left_out: int, original: int
) -> None:
    made = create("backbones", name, **settings)
    assert sum(weight.numel() for weight in made.parameters()) + left_out == original


@pytest.mark.parametrize("border", [0, 9])
def test_conv_lstm_is_torchgeos_where_all_is_clear(border: int) -> None:
    made = new_model("conv_lstm")
    batch = random_chips(3, clear=1.0)
    with torch.no_grad():
        found = cast(Features, made(padded(batch, 0, border)))
        image, dates, clear = batch["image"], batch["dates"], batch["clear"][:, :, None].float()
        when = day_of_year(dates, 4)[..., None, None] * clear
        below = torch.cat([image, clear, when], dim=2)
        for cell in cast(list[ConvLSTMCell], made.cells):
            state = cell.init_hidden(len(image), (image.shape[3], image.shape[4]))
            outs = []
            for step in below.unbind(1):
                state = cell(step, state)
                outs.append(state[0])
            below = torch.stack(outs, dim=1)
    torch.testing.assert_close(cut(found.pixels, clear[:, 0, 0, ..., None]), below[:, -1].movedim(1, 3))


@pytest.mark.parametrize("kernel", [3, 5])
def test_conv_lstm_learns_the_same_from_pixels_as_from_chips(kernel: int) -> None:
    torch.manual_seed(0)
    made = create("backbones", "conv_lstm", in_channels=4, hidden=16, kernel=kernel)
    batch = random_chips(3)
    gradients = []
    for border in (0, 9):  # beyond 70 % shown whole chips are convolved
        made.zero_grad()
        cast(Features, made(padded(batch, 0, border))).embedding.square().sum().backward()
        gradients.append([cast(Tensor, weight.grad).clone() for weight in made.parameters()])
    assert all(gradient.any() for gradient in gradients[0])
    for chips, pixels in zip(*gradients, strict=True):
        torch.testing.assert_close(pixels, chips, rtol=1e-4, atol=1e-6)


@ALL
def test_form_is_what_the_card_says(key: str) -> None:
    form = card("backbones", MODELS[key][0]).form
    assert form == ("chip" if key in CHIPS else "curve")
    other = random_batch() if form == "chip" else random_chips()
    must = "chips must be" if form == "chip" else "planar images must be"
    with pytest.raises(InvalidConfig, match=must):
        model(key)(other)
    with pytest.raises(InvalidConfig, match=rf"{must} .* got .*; make them with"):
        model(key)(batch_for(key)(bands=3))


def test_bags_of_walks_are_no_chips() -> None:
    walks = random_chips() | {"index": torch.zeros(3, 5, 9, dtype=torch.int64)}
    with pytest.raises(InvalidConfig, match="without an index"):
        model("utae")(walks)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("tempcnn", {"kernel": 4}, "kernel must be odd, got 4; give 5"),
        ("conv_lstm", {"kernel": 2}, "kernel must be odd, got 2; give 3"),
        ("lstm", {"cell": "rnn"}, "the cell must be one of lstm, gru, got 'rnn'"),
        ("series_transformer", {"dim": 16}, "dim must be at least 2 year_waves"),
        ("ltae", {"heads": 24}, "dim must be a multiple of heads, got 256 and 24"),
        ("ltae", {"heads": 64}, "dim / heads must be at least years"),
        ("utae", {"decoder": (32, 32)}, "encoder and decoder must have as many levels"),
        ("timm_resnet18", {"network": "resnet0"}, "the network must be one of timm, got 'resnet0'"),
        ("timm_resnet18", {"network": "vit_tiny_patch16_224"}, "must give features of pictures of any"),
        ("timm_resnet18", {"network": "inception_v3"}, "must give whole cells of each stride"),
        (
            "timm_resnet18",
            {"network": "mobilenetv3_small_050"},
            "which timm cannot cut, must be 32, got 16",
        ),
        ("timm_resnet18", {"colours": [3, 2, 10]}, r"three bands of positions 0 to 9, got \[3, 2, 10\]"),
        ("timm_resnet18", {"stride": 3}, "the stride of resnet18 must be one of 2, 4, 8, 16, 32, got 3"),
    ],
)
def test_bad_settings_are_told(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        create("backbones", name, **settings)
