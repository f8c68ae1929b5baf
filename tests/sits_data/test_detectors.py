"""Cloud detectors: their registry, rasters that are ready, and the adapters around foreign packages."""

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from odc.geo.geobox import GeoBox

from sits_data.detectors import CloudDetector, Target, View, detector_names, make_detector
from sits_data.detectors.omnicloudmask import CLASSES
from sits_data.detectors.s2cloudless import MODEL_BANDS
from sits_data.errors import (
    DetectorUnavailable,
    InvalidRequest,
    UnknownDetector,
    UnknownRadiometry,
    UnreadableSource,
)
from sits_data.mask import QA

GRID = GeoBox((40, 50), rasterio.Affine(10, 0, 600000, 0, -10, 5640000), "EPSG:32631")
DAYS = (date(2020, 1, 15), date(2020, 1, 20))
TARGET = Target(GRID, ("B03", "B04", "B08"), DAYS)


def view(bands: int = 0, day: date = DAYS[0], geobox: GeoBox = GRID) -> View:
    return View(day, geobox, np.full((bands, *geobox.shape), 0.2, np.float32))


def write(path: Path, values: np.ndarray, *, step: int = 10, names: tuple[str, ...] = ()) -> Path:
    """A raster whose upper left corner is the grid's, a band a layer."""
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype=values.dtype, count=count, height=height, width=width,
        crs="EPSG:32631", transform=rasterio.Affine(step, 0, 600000, 0, -step, 5640000),
    ) as raster:  # fmt: skip
        raster.write(values)
        for band, name in enumerate(names, start=1):
            raster.set_band_description(band, name)
    return path


def test_names_list_ours_and_those_of_others() -> None:
    assert detector_names()[:5] == ("scl", "omnicloudmask", "s2cloudless", "probability", "classes")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("omniclouds", "no detector is called 'omniclouds'; did you mean omnicloudmask?"),
        ("", "no detector is called ''; there are scl, omnicloudmask"),
    ],
)
def test_a_name_that_nobody_has(name: str, says: str) -> None:
    with pytest.raises(UnknownDetector, match=says.replace("?", r"\?")):
        make_detector(name, TARGET)


def test_the_plug_in_of_the_docs(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/masks.md").read_text()
    code = text[text.index("```python\n") + len("```python\n") :]
    made: dict[str, Any] = {}
    exec(code[: code.index("```")], made)
    detector: CloudDetector = made["make"]("", TARGET)
    seen = np.array([[[0.2, 0.4, np.nan]]], np.float32)
    assert detector.detect(View(DAYS[0], GRID[:1, :3], seen)).tolist() == [[0, QA.CLOUD, 0]]
    assert detector.bands == ("B02",)
    assert detector.context_m == 0


# Rasters that are ready


def test_probability_above_a_threshold_is_cloud(tmp_path: Path) -> None:
    values = np.zeros((2, 40, 50), np.float32)
    values[0, 3, 4], values[0, 5, 6], values[1, 7, 8] = 0.41, 0.39, 0.9
    path = write(tmp_path / "p.tif", values, names=("2020-01-15", "2020-01-20"))
    detector = make_detector(f"probability:{path}", TARGET)
    first, second = (detector.detect(view(day=day)) for day in DAYS)
    assert np.argwhere(first).tolist() == [[3, 4]]
    assert np.argwhere(second).tolist() == [[7, 8]]
    assert first.dtype == np.uint8
    assert first.max() == QA.CLOUD
    assert detector.bands == ()
    stricter = make_detector(f"probability:{path}:0.3", TARGET)
    assert np.argwhere(stricter.detect(view())).tolist() == [[3, 4], [5, 6]]


def test_a_window_sees_its_own_part(tmp_path: Path) -> None:
    values = np.zeros((1, 40, 50), np.float32)
    values[0, 13, 24] = 1
    write(tmp_path / "20200115.tif", values)
    write(tmp_path / "20200120.tif", values)
    detector = make_detector(f"probability:{tmp_path}", TARGET)
    assert np.argwhere(detector.detect(view(geobox=GRID[10:20, 20:40]))).tolist() == [[3, 4]]


def test_whole_numbers_need_a_threshold(tmp_path: Path) -> None:
    values = np.zeros((2, 40, 50), np.uint8)
    values[0, 3, 4] = 60
    path = write(tmp_path / "p.tif", values, names=("2020-01-15", "2020-01-20"))
    with pytest.raises(InvalidRequest, match=r"whole numbers \(uint8\).*probability:.*:40 for percent"):
        make_detector(f"probability:{path}", TARGET)
    assert np.argwhere(make_detector(f"probability:{path}:50", TARGET).detect(view())).tolist() == [
        [3, 4]
    ]


def test_beyond_a_raster_nothing_is_known(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tif", np.ones((2, 10, 50), np.float32), names=("2020-01-15", "20200120"))
    found = make_detector(f"probability:{path}", TARGET).detect(view())
    assert (found[:10] == QA.CLOUD).all()
    assert not found[11:].any()


def test_classes_on_a_coarser_grid(tmp_path: Path) -> None:
    classes = np.zeros((2, 20, 25), np.uint8)
    classes[0, 1, 1:4] = 1, 2, 3
    path = write(tmp_path / "c.tif", classes, step=20, names=("2020-01-15", "2020-01-20"))
    found = make_detector(f"classes:{path}:1=cloud,2=cirrus,3=shadow", TARGET).detect(view())
    bits = np.array([QA.CLOUD, QA.CIRRUS, QA.SHADOW], np.uint8)
    assert np.array_equal(found[2:4, 2:8], np.tile(bits.repeat(2), (2, 1)))
    assert np.count_nonzero(found) == 12


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("probability:{tmp}/none.tif", UnreadableSource, "cannot read"),
        ("probability:{tmp}/one.tif", InvalidRequest, "2 dates needs a raster .* first 2020-01-20; add"),
        ("classes:{tmp}/one.tif", InvalidRequest, "classes are named as in classes:clouds.tif:1=cloud"),
        ("classes:{tmp}/one.tif:1=fog", InvalidRequest, "also cloud, shadow, cirrus, snow"),
        (
            "probability:",
            InvalidRequest,
            "say where the probabilities are, as in --detector probability:c",
        ),
        ("scl:3", InvalidRequest, "scl is the classification in the cube and takes nothing after its"),
        ("omnicloudmask:cuda", InvalidRequest, "takes no argument, got 'cuda'"),
        ("s2cloudless", InvalidRequest, "B10, which Level-2A does not have; give Level-1C items, or"),
        ("s2cloudless:{tmp}/none.json", InvalidRequest, "is no STAC catalogue"),
    ],
)
def test_arguments_that_cannot_be_used(
    text: str, error: type[Exception], says: str, tmp_path: Path
) -> None:
    write(tmp_path / "one.tif", np.zeros((1, 40, 50), np.float32), names=("2020-01-15",))
    with pytest.raises(error, match=says) as caught:
        make_detector(text.format(tmp=tmp_path), TARGET)
    assert "\n" not in str(caught.value)


# OmniCloudMask


@pytest.fixture
def omnicloudmask(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A fake with the signature of omnicloudmask 1.8: class = the hundreds of red's DN; its calls."""
    calls: list[dict[str, Any]] = []

    def predict_from_array(
        input_array: np.ndarray,
        patch_size: int = 1000,
        patch_overlap: int = 300,
        batch_size: int = 1,
        inference_device: object = None,
        mosaic_device: object = None,
        inference_dtype: object = None,
        export_confidence: bool = False,
        softmax_output: bool = True,
        no_data_value: float = 0,
        apply_no_data_mask: bool = True,
    ) -> np.ndarray:
        assert input_array.ndim == 3
        assert min(input_array.shape[1:]) >= 32
        assert patch_overlap < patch_size <= min(input_array.shape[1:])
        calls.append({"array": input_array, "nodata": no_data_value})
        return ((input_array[:1] - 1000) // 100).clip(0, 3).astype(np.uint8)

    module = ModuleType("omnicloudmask")
    vars(module)["predict_from_array"] = predict_from_array
    monkeypatch.setitem(sys.modules, "omnicloudmask", module)
    return calls


def test_omnicloudmask_gets_red_green_and_infrared(omnicloudmask: list[dict[str, Any]]) -> None:
    detector = make_detector("omnicloudmask", TARGET)
    assert detector.bands == ("B04", "B03", "B08")
    wider = Target(GRID, ("B03", "B04", "B08", "B8A"), DAYS)
    assert make_detector("omnicloudmask", wider).bands == ("B04", "B03", "B8A")  # as its own load_s2
    seen = view(3).reflectance.copy()
    seen[0] = 0.002
    seen[0, 0, :4] = 0.002, 0.012, 0.022, 0.032
    seen[1, 5, 5] = np.nan
    found = detector.detect(View(DAYS[0], GRID, seen))
    assert found[0, :4].tolist() == [0, QA.CLOUD, QA.CIRRUS, QA.SHADOW] == CLASSES.tolist()
    (call,) = omnicloudmask
    np.testing.assert_allclose(call["array"][:, 1, 1], [1020, 3000, 3000], rtol=1e-5)
    assert not call["array"][:, 5, 5].any()  # one band without data: all are
    assert call["nodata"] == 0


def test_omnicloudmask_on_a_tiny_window_and_on_nothing(omnicloudmask: list[dict[str, Any]]) -> None:
    detector = make_detector("omnicloudmask", TARGET)
    seen = np.full((3, 6, 8), 0.012, np.float32)
    assert (detector.detect(View(DAYS[0], GRID[:6, :8], seen)) == QA.CLOUD).all()
    dark = np.full((3, 6, 8), np.nan, np.float32)
    assert not detector.detect(View(DAYS[0], GRID[:6, :8], dark)).any()
    assert len(omnicloudmask) == 1


def test_omnicloudmask_sees_no_coarse_pixels(omnicloudmask: list[dict[str, Any]]) -> None:
    coarse = Target(GRID.zoom_to(resolution=60), TARGET.bands, DAYS)
    with pytest.raises(InvalidRequest, match="pixels of 10 to 50 m, this cube has 60 m"):
        make_detector("omnicloudmask", coarse)


@pytest.mark.parametrize("name", ["omnicloudmask", "s2cloudless"])
def test_a_package_that_is_not_installed(
    name: str, l1c: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    text = f"s2cloudless:{l1c()}" if name == "s2cloudless" else name
    with pytest.raises(DetectorUnavailable, match=rf'pip install "sits-data\[{name}\]"'):
        make_detector(text, TARGET)


# s2cloudless


@pytest.fixture
def l1c(tmp_path: Path) -> Callable[..., Path]:
    """Write Level-1C items of both days: band n holds 1000 n, B10 a cloud in one corner."""

    def make(*, baseline: str | None = "02.13", without: str | None = None, days: int = 2) -> Path:
        items = []
        for day in DAYS[:days]:
            outline = GRID.extent.to_crs("EPSG:4326").geom
            said = {"s2:processing_baseline": baseline} if baseline else {}
            when = datetime(day.year, day.month, day.day, 10, 50, tzinfo=UTC)
            shape = shapely.geometry.mapping(outline)
            item = pystac.Item(f"L1C_{day:%Y%m%d}", shape, list(outline.bounds), when, dict(said))
            for number, band in enumerate(MODEL_BANDS, start=1):
                step = 60 if band in ("B01", "B09", "B10") else 10
                values = np.full((1, 480 // step, 540 // step), 1000 * number, np.uint16)
                if band == "B10":
                    values[0, :2, :2] = 9000
                path = write(tmp_path / f"{day}_{band}.tif", values, step=step)
                if band != without:
                    item.add_asset("cirrus" if band == "B10" else band, pystac.Asset(str(path)))
            items.append(item)
        path = tmp_path / "items.json"
        pystac.ItemCollection(items).save_object(str(path))
        return path

    return make


@pytest.fixture
def s2cloudless(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A fake with the signature of s2cloudless 1.7: cloud where B10 is above the threshold."""
    made: list[Any] = []

    class S2PixelCloudDetector:
        def __init__(
            self,
            threshold: float = 0.4,
            all_bands: bool = False,
            average_over: int | None = 1,
            dilation_size: int | None = 1,
            model_filename: str | None = None,
        ) -> None:
            self.threshold, self.dilation_size, self.all_bands = threshold, dilation_size, all_bands
            self.seen: list[np.ndarray] = []
            made.append(self)

        def get_cloud_masks(self, data: np.ndarray, **kwargs: object) -> np.ndarray:
            assert data.ndim == 4
            assert data.shape[-1] == 10
            self.seen.append(data)
            return (data[..., 7] > self.threshold).astype(np.uint8)

    module = ModuleType("s2cloudless")
    vars(module)["S2PixelCloudDetector"] = S2PixelCloudDetector
    monkeypatch.setitem(sys.modules, "s2cloudless", module)
    return made


@pytest.mark.parametrize(("baseline", "offset"), [("02.13", 0.0), ("05.09", -0.1)])
def test_s2cloudless_gets_ten_bands_of_level_1c(
    baseline: str, offset: float, l1c: Callable[..., Path], s2cloudless: list[Any]
) -> None:
    path = l1c(baseline=baseline)
    detector = make_detector(f"s2cloudless:{path}:0.75", TARGET)
    found = detector.detect(view())
    assert found.shape == GRID.shape
    (model,) = s2cloudless
    assert (model.threshold, model.dilation_size, model.all_bands) == (0.75, None, False)
    (data,) = model.seen
    assert data.shape == (1, 20, 25, 10)  # at 20 m
    expected = np.arange(1, 11) / 10 + offset
    np.testing.assert_allclose(data[0, 15, 20], expected, atol=1e-6)
    assert found[0, 0] == QA.CLOUD
    assert (found[:8, :8] == QA.CLOUD).all()
    assert (found[20:, 20:] == (QA.CLOUD if 0.8 + offset > 0.75 else 0)).all()


def test_s2cloudless_marks_nothing_where_level_1c_has_no_data(
    l1c: Callable[..., Path], s2cloudless: list[Any], tmp_path: Path
) -> None:
    path = l1c()
    write(tmp_path / f"{DAYS[0]}_B02.tif", np.zeros((1, 48, 54), np.uint16))
    assert not make_detector(f"s2cloudless:{path}", TARGET).detect(view()).any()


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"without": "B10"}, InvalidRequest, "item L1C_20200115 has no B10; give Level-1C items, or"),
        ({"baseline": None}, UnknownRadiometry, "does not tell its processing baseline"),
        ({"days": 1}, InvalidRequest, "2 dates needs a Level-1C item .* 1 have none, first 2020-01-20"),
    ],
)
def test_items_that_s2cloudless_cannot_use(
    how: dict[str, Any],
    error: type[Exception],
    says: str,
    l1c: Callable[..., Path],
    s2cloudless: list[Any],
) -> None:
    with pytest.raises(error, match=says):
        make_detector(f"s2cloudless:{l1c(**how)}", TARGET)
