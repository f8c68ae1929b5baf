import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from torch import Tensor, nn

from sits_data.cube import open_raw
from sits_data.mask import clear_pixels
from sits_data.planar import scatter
from sits_data.store import open_store
from sits_models.backbones import Features
from sits_models.bench.classify import classify_pixels
from sits_models.bench.features import Embedder
from sits_models.checkpoint import ModelCard, save_checkpoint
from sits_models.cli import main
from sits_models.data.normalisation import Normalisation, fit_normalisation
from sits_models.data.residence import open_table
from sits_models.errors import CheckpointMismatch, MissingDevice, NotACheckpoint
from sits_models.predict import map_files, predict
from sits_models.predict.notes import read_notes
from sits_models.predict.strips import CURVE, StripReader, strips_of
from sits_models.registry import create

BANDS = ("B02", "B03", "B04", "B08")


class Series(nn.Module):
    """Features of a pixel: its clear values, and when it was clear; nothing is learned."""

    def forward(self, batch: dict[str, Tensor]) -> Features:
        clear = batch["clear"][:, None]
        series = torch.cat([batch["image"] * clear, clear.float()], 1)
        pixels = series.flatten(1, 2).transpose(1, 2)
        return Features(pixels.mean(1), pixels)


@pytest.fixture(scope="module")
def classifier(parcels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a head that least squares have found on the pixels of the parcels."""
    folder = tmp_path_factory.mktemp("runs") / "classifier"
    store = open_store(parcels)
    table = open_table(store)
    normalisation = fit_normalisation([store], [np.arange(len(store))])
    found = Embedder(Series(), normalisation).pixels(table, torch.arange(len(table)))
    label = table.label[found.region]
    used = found.seen & (label >= 0)
    features = torch.cat([found.features, torch.ones(len(label), 1)], 1)[used].double()
    wanted = nn.functional.one_hot(label[used], len(table.classes)).double()
    gram = features.T @ features + 1e-3 * torch.eye(features.shape[1])
    solved = torch.linalg.solve(gram, features.T @ wanted) * 10
    head = nn.Linear(*solved[:-1].shape)
    with torch.no_grad():
        head.weight.copy_(solved[:-1].T)
        head.bias.copy_(solved[-1])
    save_checkpoint(folder, Series(), card(normalisation, classes=store.manifest.classes), head)
    return folder


@pytest.fixture(autouse=True)
def _series_as_backbone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Training a network takes too long here; reading one from a checkpoint has a test of its own."""
    if request.function is not test_checkpoint_of_planar_vit_draws_a_map:
        monkeypatch.setattr("sits_models.predict.load_backbone", lambda _: Series())


def card(normalisation: Normalisation, **other: object) -> ModelCard:
    said = {
        "kind": "classifier", "backbone": "planar_vit_nano", "backbone_arguments": {"in_channels": 4},
        "bands": BANDS, "resolution_m": 10, "mask": "standard", "normalisation": normalisation,
        "views": {"length": 32},
    }  # fmt: skip
    return ModelCard.model_validate(said | other)


class Means(nn.Module):
    """Features of a pixel: the mean of each band over all dates, clear or not."""

    def forward(self, batch: dict[str, Tensor]) -> Features:
        pixels = batch["image"].mean(2).transpose(1, 2)
        return Features(pixels.mean(1), pixels)


def read_strip(cube: Path, chip_px: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Probabilities that `Means` gives through a cube's first strip, and where they belong."""
    from concurrent.futures import ThreadPoolExecutor

    raw = open_raw(cube)
    strip = next(strips_of(raw, chip_px=chip_px))
    with ThreadPoolExecutor(2) as pool:
        table = StripReader(raw, mask="standard", pool=pool).read(strip)
    chances = classify_pixels(
        Means(),
        nn.Identity(),
        table,
        normalisation=None,
        curve=CURVE,
        length=24,
        batch_size=7,
        device=torch.device("cpu"),
    )
    return chances, strip.yx


def test_each_pixel_gets_what_its_own_series_says(land: Path) -> None:
    raw = open_raw(land / "field.zarr")
    chances, yx = read_strip(land / "field.zarr", 20)
    digits = raw.read("reflectance").astype(np.float32)
    seen = (digits > 0).all(1, keepdims=True)
    mean = np.where(seen, digits * 1e-4 - 0.1, 0).mean(0)  # (band, y, x)
    wanted = torch.from_numpy(mean).softmax(0).numpy()
    clear = (clear_pixels(raw.read("qa"), None, "standard") & seen[:, 0]).any(0)
    assert len(yx) == clear.size
    assert len({tuple(place) for place in yx.tolist()}) == clear.size
    y, x = yx.T
    np.testing.assert_array_equal(np.isnan(chances).any(1), ~clear[y, x])
    np.testing.assert_allclose(
        chances[clear[y, x]], wanted[:, y, x].T[clear[y, x]], rtol=2e-5, atol=1e-6
    )


def test_chips_do_not_change_what_single_pixels_say(land: Path) -> None:
    maps = []
    for chip_px in (7, 32, 512):
        chances, yx = read_strip(land / "field.zarr", chip_px)
        raster = np.ravel_multi_index(tuple(yx.T), open_raw(land / "field.zarr").geobox.shape)
        maps.append(scatter(chances.T, raster, len(chances)))
    np.testing.assert_allclose(maps[1], maps[0], rtol=1e-5)
    np.testing.assert_allclose(maps[2], maps[0], rtol=1e-5)


def test_some_regions_say_what_they_say_among_all(chips: Path) -> None:
    table, some = open_table(chips), torch.tensor([2, 5, 30])
    asked: Any = {"normalisation": None, "curve": "snake", "length": 24, "device": "cpu"}
    everything = classify_pixels(Means(), nn.Identity(), table, **asked)
    found = classify_pixels(Means(), nn.Identity(), table, regions=some, **asked)
    mine = np.isin(np.repeat(np.arange(len(table)), table.size), some)
    np.testing.assert_array_equal(found[mine], everything[mine])
    assert np.isfinite(found[mine]).any()
    assert np.isnan(found[~mine]).all()


def test_map_lies_on_the_cube_and_beats_one_class_a_chip(
    land: Path, classifier: Path, tmp_path: Path
) -> None:
    done = predict(classifier, land / "field.zarr", tmp_path / "map.tif", chip_px=16)
    raw = open_raw(land / "field.zarr")
    with rasterio.open(done.out) as classes, rasterio.open(done.probabilities) as probabilities:
        for raster in (classes, probabilities):
            assert raster.transform == raw.geobox.transform
            assert raster.crs.to_epsg() == raw.geobox.crs.epsg
            assert raster.shape == raw.geobox.shape
        named, chances = classes.read(1), probabilities.read()
        assert probabilities.descriptions == tuple(done.classes)
    known = named != 255
    assert done.pixels == named.size
    assert done.no_data == (~known).sum()
    assert sum(done.classes.values()) + done.no_data == done.pixels
    np.testing.assert_array_equal(np.isnan(chances).any(0), ~known)
    np.testing.assert_allclose(chances[:, known].sum(0), 1, atol=1e-4)
    np.testing.assert_array_equal(chances.argmax(0)[known], named[known])

    with rasterio.open(land / "catalogue/truth/classes_2022.tif") as raster:
        window = rasterio.windows.from_bounds(*raw.geobox.boundingbox.bbox, raster.transform)
        truth = raster.read(1, window=window, boundless=True, fill_value=0)
    codes = np.array([one.code for one in read_notes(classifier)[0].classes])
    ours, majority, count, mixed = 0, 0, 0, 0
    for y in range(0, truth.shape[0], 16):
        for x in range(0, truth.shape[1], 16):
            place = slice(y, y + 16), slice(x, x + 16)
            inside = np.isin(truth[place], codes) & known[place]
            there, counts = np.unique(truth[place][inside], return_counts=True)
            if len(there) < 2:
                continue
            mixed += 1
            count += counts.sum()
            majority += counts.max()
            ours += (codes[np.where(inside, named[place], 0)] == truth[place])[inside].sum()
    assert mixed > 10
    assert ours > majority, (ours / count, majority / count)


def test_checkpoint_of_planar_vit_draws_a_map(land: Path, classifier: Path, tmp_path: Path) -> None:
    said = ModelCard.model_validate_json((classifier / "card.json").read_bytes())
    backbone = create("backbones", said.backbone, **said.backbone_arguments)
    head = nn.Linear(backbone.embed_dim, len(said.classes))
    save_checkpoint(tmp_path / "run", backbone, said, head)
    done = predict(tmp_path / "run", land / "field.zarr", tmp_path / "map.tif", batch_size=128)
    assert done.no_data < done.pixels == 84 * 84


def test_pixels_that_were_never_clear_are_no_data(land: Path, classifier: Path, tmp_path: Path) -> None:
    import shutil

    import zarr

    cube = shutil.copytree(land / "field.zarr", tmp_path / "field.zarr")
    qa = zarr.open_group(cube, mode="r+")["qa"]
    qa[:, 10:20, 30:40] = 2  # type: ignore[index]
    done = predict(classifier, cube, tmp_path / "map.tif")
    with rasterio.open(done.out) as raster:
        named = raster.read(1)
    assert (named[10:20, 30:40] == 255).all()
    assert (named[20:, :30] != 255).any()


def test_map_is_noted_once_in_the_run(land: Path, classifier: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.tif"
    for overwrite in (False, True):
        predict(classifier, land / "field.zarr", out, chip_px=64, overwrite=overwrite)
    notes = [note for note in read_notes(classifier) if note.path.endswith("again.tif")]
    assert len(notes) == 1
    assert (classifier / notes[0].path).resolve() == out.resolve()
    assert (classifier / notes[0].cube).resolve() == (land / "field.zarr").resolve()


def test_run_that_cannot_be_written_to_still_gives_its_map(
    land: Path, classifier: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def refuse(target: Path, data: bytes) -> None:
        raise PermissionError

    monkeypatch.setattr("sits_models.predict.notes.write_atomically", refuse)
    with caplog.at_level(logging.WARNING, "sits_models"):
        assert predict(classifier, land / "field.zarr", tmp_path / "map.tif").out.exists()
    assert "--map" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": ("B02", "B03", "B08", "B04")}, "bands B02, B03, B08, B04 in the checkpoint"),
        ({"resolution_m": 20}, "resolution 20 m in the checkpoint, 10 m in the data"),
        ({"mask": "lenient"}, "unknown mask 'lenient'; use one of standard, strict"),
    ],
)
def test_cube_unlike_the_training_data_is_refused(
    land: Path, classifier: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    save_changed(classifier, tmp_path / "run", change)
    with pytest.raises(CheckpointMismatch, match=message):
        predict(tmp_path / "run", land / "field.zarr", tmp_path / "map.tif")
    assert not list(tmp_path.glob("*.tif"))


def save_changed(classifier: Path, folder: Path, change: dict[str, object]) -> None:
    said = json.loads((classifier / "card.json").read_text()) | change
    folder.mkdir()
    for file in classifier.glob("*.safetensors"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "card.json").write_text(json.dumps(said))


def test_backbone_without_a_head_says_what_to_do(land: Path, classifier: Path, tmp_path: Path) -> None:
    fitted = ModelCard.model_validate_json((classifier / "card.json").read_bytes()).normalisation
    save_checkpoint(tmp_path / "run", nn.Linear(2, 2), card(fitted, kind="backbone"))
    with pytest.raises(NotACheckpoint, match="run probe or finetune"):
        predict(tmp_path / "run", land / "field.zarr", tmp_path / "map.tif")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "map.png"], "the map is a GeoTIFF, map.png is not named so"),
        (["--device", "gpu"], "a device is called cpu, cuda or cuda:0, got gpu"),
        (["--checkpoint", "nothing"], "nothing has no card.json"),
        (["--cube", "nothing.zarr"], "nothing.zarr is not a cube"),
    ],
)
def test_bad_input_is_one_line(
    land: Path, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words = ["--checkpoint", str(classifier), "--cube", str(land / "field.zarr"), *arguments]
    result = CliRunner().invoke(main, ["predict", *words])
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_named(land: Path, classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDevice, match="use --device cpu"):
        predict(classifier, land / "field.zarr", tmp_path / "map.tif", device="cuda")


def test_map_is_replaced_only_when_asked(land: Path, classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "map.prob.tif").write_text("mine")
    words = ["predict", "--checkpoint", str(classifier), "--cube", str(land / "field.zarr")]
    words += ["--out", str(tmp_path / "map.tif")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert (tmp_path / "map.prob.tif").read_text() == "mine"
    result = CliRunner().invoke(main, [*words, "--overwrite", "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["out"] == str(tmp_path / "map.tif")
    assert {file.name for file in tmp_path.iterdir()} == {"map.tif", "map.prob.tif"}


def test_map_files_lie_beside_each_other() -> None:
    assert map_files(Path("a/map.tif")) == (Path("a/map.tif"), Path("a/map.prob.tif"))
