"""Changes between periods, with labels and without."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import season_means  # noqa: F401
import torch
from batches import random_batch
from checkpoints import write_backbone
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor
from torch.utils.data import DataLoader

from sits_data import open_store
from sits_data.errors import InvalidRequest, OutputExists
from sits_models.backbones.siamese import Siamese, split_period
from sits_models.bench.scores import Scores
from sits_models.change import calibrate, detect_changes
from sits_models.checkpoint import load_backbone, read_card
from sits_models.cli import main
from sits_models.contract import Batch
from sits_models.registry import form_of
from sits_models.tasks import ChangeDetection

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`"),
]

SERIES = Path(__file__).resolve().parents[2] / "../shared/data/sits_pixel_series"
NEW_YEAR = 18_993  # 2022-01-01
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
    "enable_model_summary": False, "enable_checkpointing": False,
}  # fmt: skip


@given(seed=st.integers(0, 99), begins=st.sampled_from([(18_200,), (18_100, 18_400)]))
def test_periods_share_no_date_and_lose_none(seed: int, begins: tuple[int, ...]) -> None:
    batch = random_batch(seed)
    parts = [split_period(batch, number, begins) for number in range(len(begins) + 1)]
    for number, days in enumerate(batch["dates"].tolist()):
        found = [part["dates"][number][part["pad_mask"][number]].tolist() for part in parts]
        assert [day for days in found for day in days] == days
        edges = [-(10**9), *begins, 10**9]
        assert all(
            low <= day < high
            for days, low, high in zip(found, edges, edges[1:], strict=False)
            for day in days
        )
    observed = sum(int(part["clear"].sum()) for part in parts)
    assert observed == int(batch["clear"].sum())
    values = sum(float((part["image"] * part["clear"][:, None]).sum()) for part in parts)
    assert values == pytest.approx(float((batch["image"] * batch["clear"][:, None]).sum()), abs=1e-2)


def test_chips_are_cut_along_their_own_axis() -> None:
    planar = random_batch(length=6)
    chip = {
        **planar,
        "image": planar["image"].transpose(1, 2).unflatten(3, (2, 3)),
        "clear": planar["clear"].unflatten(2, (2, 3)),
    }
    mine, theirs = split_period(planar, 1, (18_300,)), split_period(chip, 1, (18_300,))
    assert torch.equal(theirs["image"].flatten(3).transpose(1, 2), mine["image"])
    assert torch.equal(theirs["clear"].flatten(2), mine["clear"])


def test_difference_by_hand() -> None:
    batch = random_batch(size=1, bands=1, dates=4, length=2, clear=2)
    batch["dates"] = torch.tensor([[NEW_YEAR - 300, NEW_YEAR - 299, NEW_YEAR + 65, NEW_YEAR + 66]])
    batch["image"] = torch.tensor([[[[1.0, 5], [3, 5], [7, 4], [9, 2]]]])
    network = Siamese(1, of="season_means", periods=["2022-01-01"])
    features = network(batch)
    # Means are 2 and 5 before, 8 and 3 after, all in the first third of a year.
    assert features.pixels[0, 0].tolist() == [6, 0, 0, 6, 0, 0]
    assert features.pixels[0, 1].tolist() == [-2, 0, 0, 2, 0, 0]
    assert features.embedding[0].tolist() == [2, 0, 0, 4, 0, 0]
    batch["clear"][0, 2:, 1] = False  # not seen afterwards
    assert network(batch).pixels[0, 1].tolist() == [0] * 6
    assert network(batch).embedding[0].tolist() == [3, 0, 0, 3, 0, 0]


def test_each_pair_of_periods_has_a_target() -> None:
    batch = random_batch(size=4, dates=12)
    periods = ["2019-10-01", "2020-05-01"]
    features = Siamese(4, of="season_means", periods=periods, each=True)(batch)
    assert features.embedding.shape == (4, 2, 24)
    assert features.pixels.shape == (4, 20, 2, 24)
    model = ChangeDetection(periods, each=True, backbone="season_means", in_channels=4, num_classes=2)
    labelled: Any = {**batch, "label": torch.tensor([[0, 1], [1, -1], [-1, -1], [0, 0]])}
    loader = DataLoader([labelled], batch_size=None)  # type: ignore[arg-type]
    Trainer(**QUIET, max_steps=2).fit(model, loader, loader)
    assert model(batch).shape == (4, 2, 2)


@given(seed=st.integers(0, 50))
def test_one_period_says_nothing_of_the_other(seed: int) -> None:
    """What was masked, and the order of what it is compared with, change nothing."""
    batch = random_batch(seed, dates=10)
    torch.manual_seed(0)
    network = Siamese(4, periods=["2020-03-01"], of_args={"dim": 24}).eval()
    noise = torch.randn_like(batch["image"]) * 50
    other: Any = {**batch, "image": torch.where(batch["clear"][:, None], batch["image"], noise)}
    with torch.no_grad():
        one, two = network(batch), network(other)
    torch.testing.assert_close(one.embedding, two.embedding, atol=1e-5, rtol=0)


def test_changes_are_learned_from_finetune_to_checkpoint(changing: Path, tmp_path: Path) -> None:
    words = [
        "finetune", "--from-scratch", "--store", changing, "--backbone", "season_means",
        "--model", "sits_models.tasks.ChangeDetection", "--model.periods=[2022-01-01]",
        "--data.folds=3", "--data.gap_m=0", "--data.dates=null", "--max-steps", 150,
        "--model.lr=0.1", "--out", tmp_path / "run", "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    scores = Scores.model_validate_json(done.stdout)
    majority = next(row for row in scores.rows if row.name == "majority class")
    assert scores.rows[0].macro_f1 > majority.macro_f1 + 0.1
    card = read_card(tmp_path / "run")
    assert card.backbone == "siamese"
    assert card.backbone_arguments["of"] == "season_means"
    assert form_of(card.backbone, card.backbone_arguments) == "curve"
    assert load_backbone(tmp_path / "run").embed_dim == 24


def test_checkpoint_is_what_compares(changing: Path, pretrained: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"in_channels": 4, "num_classes": 2, "checkpoint": str(pretrained)}
    model = ChangeDetection(["2022-01-01"], **settings)
    assert isinstance(model.backbone, Siamese)
    ours, theirs = model.backbone.one.state_dict(), load_backbone(pretrained).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert model.made.arguments["of_args"]["dim"] == 24


@pytest.mark.parametrize("unchanged", ["0", None])
def test_changes_are_found_without_labels(changing: Path, tmp_path: Path, unchanged: str | None) -> None:
    run = write_backbone(
        tmp_path / "run", backbone="season_means", backbone_arguments={"in_channels": 4}
    )
    out = tmp_path / "changes.gpkg"
    words = ["change", "--checkpoint", run, "--store", changing, "--period", "2022-01-01"]
    words += ["--out", out, "--json", "--false-alarms", 0.2]
    words += [] if unchanged is None else ["--unchanged", unchanged]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    found, frame = json.loads(done.stdout), gpd.read_file(out)
    assert len(frame) == len(open_store(changing))
    assert frame["changed"].sum() == found["changed"]
    assert ((frame["distance"] > found["threshold"]) == frame["changed"].astype(bool)).all()
    labels = open_store(changing).labels
    codes = np.array([int(one.code) for one in open_store(changing).manifest.classes])[labels]
    apart = [frame["distance"][codes == code].median() for code in (0, 1)]
    assert apart[1] > 1.5 * apart[0]
    if unchanged is None:
        assert found["false_alarms"] is None
    else:
        assert found["false_alarms"] < 0.35 < 0.6 < found["found"]


def test_calibration_keeps_its_promise() -> None:
    """Of new unchanged pairs the expected share lies above: ⌈(N + 1) a⌉ … in the mean, exactly."""
    draws = np.random.default_rng(0)
    for count, share in ((19, 0.1), (50, 0.05), (200, 0.3)):
        above = [
            float(
                (
                    draws.exponential(size=200)
                    > calibrate(draws.exponential(size=count), false_alarms=share)
                ).mean()
            )
            for _ in range(2000)
        ]
        rank = np.ceil(round((count + 1) * (1 - share), 9))
        assert np.mean(above) == pytest.approx(1 - rank / (count + 1), abs=0.006)
        assert np.mean(above) < share + 0.006


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"period": "2032-01-01"}, InvalidRequest, "2032-01-01 must lie in 2021-.* to 2022-"),
        ({"period": "spring"}, InvalidRequest, "periods begin on dates such as 2022-01-01"),
        ({"unchanged": "7"}, InvalidRequest, "7 must be the code of a class of .* has 0, 1"),
        ({"false_alarms": 1.0}, InvalidRequest, "above 0 and below 1, got 1.0"),
        ({"false_alarms": 1e-6}, InvalidRequest, "needs at least 999999 unchanged pairs, got"),
        ({"out": "changes.shp"}, InvalidRequest, "as a GeoPackage, got changes.shp"),
        ({"out": "there.gpkg"}, OutputExists, "there.gpkg exists; replace it with --overwrite"),
    ],
)
def test_what_cannot_be_compared(
    changing: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any], error: type[Exception], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("there.gpkg").write_text("mine")
    asked = {"out": "new.gpkg", "period": "2022-01-01", **settings}
    out = asked.pop("out")
    with pytest.raises(error, match=message):
        detect_changes(pretrained, changing, out, **asked)
    assert [path.name for path in tmp_path.iterdir()] == ["there.gpkg"]


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        ([], "got nothing; give --model.periods"),
        (["2022-01-01", "2021-01-01"], "in ascending order, got 2022-01-01, 2021-01-01"),
        (["soon"], "such as 2022-01-01, got"),
    ],
)
def test_periods_that_cannot_be(periods: list[str], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        ChangeDetection(periods, in_channels=4, num_classes=2)


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "cleared"),
    [("rondonia_s2_deforestation_T20LKP", 42), ("rondonia_l8_deforestation", 40)],
)
def test_deforestation_of_real_series(file: str, cleared: int) -> None:
    """Pixels of Rondonia, of which some were cleared between August 2018 and July 2019.

    In the east they are learned, in the west they are found; a check of the code, not a result.
    """
    if not SERIES.is_dir():
        pytest.skip(f"{SERIES} is absent")
    series = np.load(SERIES / f"{file}.npz")
    label = torch.from_numpy((series["label"] == "Deforestation").astype(np.int64))
    assert label.sum() == cleared
    east = torch.from_numpy(series["lon"] > np.median(series["lon"]))
    seed_everything(0, verbose=False)
    model = ChangeDetection(
        ["2019-02-01"],
        in_channels=len(series["bands"]),
        num_classes=2,
        class_weights=[0.6, 5.0],
        lr=1e-3,
    )
    loader = DataLoader(list(_batches(series, label, east)), batch_size=None)  # type: ignore[arg-type]
    Trainer(**QUIET, max_epochs=25).fit(model, loader, loader)
    test = _batch(series, label, ~east)
    with torch.no_grad():
        changed = model.eval()(test).softmax(1)[:, 1]
    positive, negative = changed[test["label"] == 1], changed[test["label"] == 0]
    auc = float((positive[:, None] > negative).float().mean())
    assert auc > 0.7


def _batches(series: Mapping[str, Any], label: Tensor, some: Tensor) -> Iterator[Batch]:
    rows = torch.nonzero(some)[:, 0]
    for part in rows[torch.randperm(len(rows))].split(64):
        mask = torch.zeros_like(some)
        mask[part] = True
        yield _batch(series, label, mask)


def _batch(series: Mapping[str, Any], label: Tensor, some: Tensor) -> Batch:
    values = torch.from_numpy(series["x_1e4"][some.numpy()].astype(np.float32) / 1e4)
    dates = torch.from_numpy(series["days_since_1970"][some.numpy()].astype(np.int64))
    clear = (values > -3).all(2)[..., None]
    count = len(values)
    return Batch(
        image=(values.transpose(1, 2)[..., None] - 0.2) / 0.2,
        dates=dates,
        clear=clear,
        pad_mask=torch.ones_like(dates, dtype=torch.bool),
        length=torch.full((count,), dates.shape[1]),
        index=torch.zeros(count, 1, dtype=torch.int64),
        yx=torch.zeros(count, 1, 2),
        region=torch.nonzero(some)[:, 0],
        label=label[some],
    )
