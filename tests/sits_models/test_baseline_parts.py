"""What baselines are made of, by hand: series, norms, sets, attention, dates."""

import logging

import pytest
import timm
import torch
from torch import nn

from sits_models.backbones import photographs
from sits_models.backbones.fourier import date_code, main_year
from sits_models.backbones.ltae import MasterQueries
from sits_models.backbones.norms import BatchNorm, SeenGroupNorm
from sits_models.backbones.photographs import learned_or_new
from sits_models.backbones.pse_ltae import PixelSet
from sits_models.backbones.series import clear_series, features, shown
from sits_models.backbones.timm_cnn import TimmCNN


def test_clear_series_by_hand() -> None:
    image = torch.tensor([[[[1.0, 0.0, 7.0], [0.0, 0.0, 8.0], [3.0, 0.0, 0.0]]]])  # one band, 3 x 3
    clear = image[:, 0] > 0
    found = clear_series(image, clear, torch.tensor([[[10.0], [20.0], [30.0]]]))
    assert found.values[..., 0].tolist() == [[1, 3], [7, 8]]  # the second position was never clear
    assert found.when[..., 0].tolist() == [[10, 30], [10, 20]]
    assert found.known.all()
    back = features(torch.tensor([[2.0], [4.0]]), clear.any(1))
    assert back.pixels[0, :, 0].tolist() == [2, 0, 4]
    assert back.embedding.tolist() == [[3]]


def test_where_nothing_was_seen_one_position_is_run_and_none_counts() -> None:
    seen = torch.zeros(2, 3, dtype=torch.bool)
    assert shown(seen).tolist() == [[True, False, False], [False, False, False]]
    assert not features(torch.ones(1, 4), seen).pixels.any()


def test_group_norm_is_that_of_torch_where_everything_is_seen() -> None:
    ours, theirs = SeenGroupNorm(2, 6), nn.GroupNorm(2, 6)
    values = torch.randn(3, 6, 5, 4, dtype=torch.float64)
    ours.double(), theirs.double()
    found = ours(values, torch.ones(3, 5, 4, dtype=torch.bool))
    torch.testing.assert_close(found, theirs(values))
    seen = torch.zeros(3, 5, 4, dtype=torch.bool)
    seen[:, :3, :2] = True
    torch.testing.assert_close(ours(values, seen)[:, :, :3, :2], theirs(values[:, :, :3, :2]))
    assert not ours(values, seen)[:, :, 3:].any()


def test_batch_norm_of_one_row_takes_what_it_knows() -> None:
    norm = BatchNorm(2)
    norm(torch.tensor([[0.0, 0.0], [2.0, 4.0]]))
    before = norm.running_mean.clone()
    found = norm(torch.tensor([[0.1, 0.2]]))  # the running means: a tenth of 1 and of 2
    torch.testing.assert_close(found, torch.zeros(1, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(norm.running_mean, before)


def test_pixel_sets_have_the_mean_and_spread_of_their_clear_pixels() -> None:
    made = PixelSet(1, widths=(1,), out=2).eval()
    for layer in (made.pixel, made.pooled):
        nn.init.eye_(layer[0].weight)
        nn.init.zeros_(layer[0].bias)
    image = torch.tensor([[[[1.0, 5.0, 99.0], [0.0, 0.0, 0.0]]]])
    found = made(image, torch.tensor([[[True, True, False], [False] * 3]]))
    torch.testing.assert_close(found, torch.tensor([[[3.0, 2.0], [0, 0]]]), atol=1e-3, rtol=0)


def test_master_queries_by_hand() -> None:
    attention = MasterQueries(4, heads=2, d_k=1).eval()
    nn.init.zeros_(attention.key.weight)  # all dates are weighted alike
    tokens = torch.tensor([[[1.0, 2, 3, 4], [3, 4, 5, 6], [100, 100, 100, 100]]])
    mixed, weights = attention(tokens, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(mixed, torch.tensor([[2.0, 3, 4, 5]]))
    torch.testing.assert_close(weights, torch.tensor([[[0.5, 0.5, 0]] * 2]))


def test_main_year_by_hand() -> None:
    # 2021-01-01 is day 18 628: three dates of 2021, two of 2022 and padding.
    dates = torch.tensor([[18_628, 18_800, 18_990, 18_994, 19_300, 0]])
    real = dates > 0
    assert main_year(dates, real, first_day=1).tolist() == [18_628]
    assert main_year(dates[:, 1:], real[:, 1:], first_day=1).tolist() == [
        18_993
    ]  # two and two: the newest
    # Of years from 1 October: 1, 1, then 18 990 and 18 994 in that of 2021, 19 300 too.
    assert main_year(dates, real, first_day=274).tolist() == [18_628 + 273]


def test_date_code_is_the_season_the_year_and_zeros() -> None:
    code = date_code(torch.tensor([[18_628, 18_993]]), 6, waves=1, years=3)
    assert code.shape == (1, 2, 6)
    torch.testing.assert_close(code[0, 0, :2], code[0, 1, :2], atol=0.03, rtol=0)
    assert code[0, :, 2:].tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]  # 365 days are not yet a year


@pytest.mark.parametrize("colours", [None, (2, 1, 0)])
@pytest.mark.parametrize("there", [True, False])
def test_weights_of_photographs(
    there: bool,
    colours: tuple[int, ...] | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the real loading of timm, but for the download."""
    torch.manual_seed(0)
    published = timm.create_model("resnet10t").state_dict()

    def download(*_: object, **__: object) -> dict[str, torch.Tensor]:
        if not there:
            raise OSError("no route to host")
        return dict(published)

    monkeypatch.setattr(photographs, "_missing", set())
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", download)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_url", download)
    with caplog.at_level(logging.WARNING, "sits_models"):
        made = TimmCNN(4, network="resnet10t", pretrained=True, colours=colours)
    if not there:
        assert made.starts_from is None
        assert "no route to host): it starts from random weights" in caplog.text
        return
    assert made.starts_from == "ImageNet (timm, resnet10t)"
    first = dict(made.network.named_parameters())["conv1.0.weight"]
    # Four bands and three more channels: the mean of three filters, 3 / 7 as strong.
    learned = published["conv1.0.weight"]
    expected = learned.mean(1, keepdim=True).repeat(1, 7, 1, 1)
    if colours:
        expected[:, [2, 1, 0]] = learned
    torch.testing.assert_close(first, expected * 3 / 7)
    torch.testing.assert_close(first.sum(1), learned.sum(1))  # a grey picture is answered alike


def test_missing_weights_are_asked_for_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def make(learned: bool) -> nn.Module:
        if learned:
            asked.append(True)
            raise OSError("no route to host")
        return nn.Identity()

    monkeypatch.setattr(photographs, "_missing", set())
    with caplog.at_level(logging.WARNING, "sits_models"):
        found = [learned_or_new(make, "a network") for _ in range(3)]
    assert [learned for _, learned in found] == [False] * 3
    assert (len(asked), len(caplog.records)) == (1, 1)
