"""`sits-data mask`: quality bits of a finished cube, made anew."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import zarr
from installed import Run
from made_up_cube import write_cube
from tiny_catalogue import GRID, Product, daily, request, write_catalogue

from sits_data.build import build_cube
from sits_data.cube import open_raw
from sits_data.describe import CubeInfo, describe
from sits_data.detectors import Target, View
from sits_data.errors import IncompleteCube, InvalidRequest, MissingBand, OutputExists
from sits_data.grid import Grid
from sits_data.mask import FLAGS, OBSCURED, QA, QaSettings, Refinement, qa_from_scl, refine, refined_qa
from sits_data.remask import remask, staging
from sits_data.remask import unit as unit_module
from sits_data.verify import verify_cube

WIDE = Grid(crs="EPSG:32631", resolution_m=10, left=600000, bottom=5633880, right=606000, top=5640000)
"""612 rows and 600 columns of 10 m: two blocks by two."""


def files(cube: Path, name: str) -> dict[str, bytes]:
    return {
        path.relative_to(cube).as_posix(): path.read_bytes()
        for path in sorted((cube / name).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random classes and bits, four chunks, three of them slivers."""
    folder = tmp_path_factory.mktemp("made up")
    write_cube(folder / "c.zarr")
    return folder / "c.zarr"


@pytest.fixture
def cube(made_up: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made_up, tmp_path / "c.zarr"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of two days with scattered clouds, the second of two scenes, half a swath each."""
    folder = tmp_path_factory.mktemp("wide")
    rng = np.random.default_rng(1)
    rows, cols = (WIDE.top - WIDE.bottom) // 20, (WIDE.right - WIDE.left) // 20

    def clouds(part: slice) -> np.ndarray:
        scl = np.full((rows, cols), 4, np.uint8)
        scl[rng.random(scl.shape) < 0.02] = 9
        scl[40:60, 200:290] = 8
        scl[62:70, 180:190] = 3
        out = np.zeros_like(scl)
        out[:, part] = scl[:, part]
        return out

    def product(name: str, when: str, part: slice) -> Product:
        scl = clouds(part)
        bands = {"B11": scl.astype(np.uint16) * 500}
        bands["B04"] = scl.repeat(2, 0).repeat(2, 1).astype(np.uint16) * 500
        return Product(id=name, when=when, grid=WIDE, values={"scl": scl, **bands})

    write_catalogue(
        folder,
        [
            product("S2A_31UFS_20200101_0_L2A", "2020-01-01T10:50:00Z", slice(None)),
            product("S2A_31UFS_20200102_0_L2A", "2020-01-02T10:50:00Z", slice(0, 170)),
            product("S2A_31UFR_20200102_0_L2A", "2020-01-02T10:50:14Z", slice(160, None)),
        ],
    )
    return folder / "catalog.json"


@pytest.mark.parametrize(
    "asked", [Refinement(), Refinement(dilate_m=70), Refinement(dilate_m=60, erode_m=20)]
)
def test_the_settings_of_the_build_give_the_same_bytes(
    asked: Refinement, wide: Path, tmp_path: Path
) -> None:
    built = build_cube(request(wide, grid=WIDE, refinement=asked), tmp_path / "c.zarr").path
    before = files(built, "qa"), files(built, "scl"), files(built, "reflectance")
    done = remask(built, QaSettings(**asked.model_dump()))
    assert (files(built, "qa"), files(built, "scl"), files(built, "reflectance")) == before
    assert done.units == 2 * 4
    assert not list(tmp_path.glob(".*"))


def test_at_the_outer_edge_a_build_saw_further(tmp_path: Path) -> None:
    scl = np.full((WIDE.shape[0] // 2, WIDE.shape[1] // 2), 4, np.uint8)
    scl[150, 160] = 9  # 20 m right of the smaller grid below
    one = Product(grid=WIDE, values={"scl": scl})
    inner = WIDE.model_copy(update={"right": WIDE.left + 3180})
    catalog = write_catalogue(tmp_path, [one])
    cube = build_cube(
        request(catalog, grid=inner, refinement=Refinement(dilate_m=50)), tmp_path / "c.zarr"
    ).path
    built = open_raw(cube).read("qa", 0)
    remask(cube, QaSettings(dilate_m=50))
    again = open_raw(cube).read("qa", 0)
    rows, cols = np.nonzero(built != again)
    assert set(built[rows, cols]) == {QA.DILATED}
    assert not again[rows, cols].any()
    assert cols.min() >= inner.shape[1] - 5  # 50 m


@pytest.mark.parametrize(
    "asked",
    [QaSettings(dilate_m=90), QaSettings(erode_m=30), QaSettings(dilate_m=60, erode_m=20)],
)
def test_blocks_meet_without_a_seam(asked: QaSettings, wide: Path, tmp_path: Path) -> None:
    cube = build_cube(request(wide, grid=WIDE), tmp_path / "c.zarr").path
    remask(cube, asked)
    raw = open_raw(cube)
    scl, found = raw.read("scl", 0), raw.read("qa", 0)
    pad = asked.reach_px(20)
    around = np.pad(scl[::2, ::2], pad)  # beyond the cube there is no data
    refined = refine(qa_from_scl(around), asked, 20)
    inner = slice(pad, -pad)
    kept, near = (a[inner, inner].repeat(2, 0).repeat(2, 1) for a in (refined.kept, refined.near))
    assert np.array_equal(found, refined_qa(qa_from_scl(scl), kept, near))
    assert (found & QA.DILATED).any() == (asked.dilate_m > 0)


def test_what_was_not_read_stays_so(cube: Path) -> None:
    group = zarr.open_group(cube, mode="r+")
    qa, scl = group["qa"], group["scl"]
    assert isinstance(qa, zarr.Array)
    assert isinstance(scl, zarr.Array)
    scl[0, :4, :4] = np.array([0, 0, 9, 4])[:, None]
    qa[0, :4, :4] = np.array([64, 128 | 1, 128 | 2, 64])[:, None]
    remask(cube, QaSettings())
    after = open_raw(cube).read("qa", 0)[:4, 0].tolist()
    assert after == [64, 128 | 1, 128 | 2, 64]


def test_a_chunk_that_was_never_written_stays_away(cube: Path) -> None:
    (cube / "qa/c/1/0/1").unlink()
    assert remask(cube, QaSettings(dilate_m=40)).units == 15
    assert not (cube / "qa/c/1/0/1").exists()
    assert (open_raw(cube).read("qa", 1)[:512, 512:] == QA.NOT_READ).all()


@pytest.mark.parametrize("resolution_m", [20, 60])
def test_other_resolutions(resolution_m: int, tmp_path: Path) -> None:
    grid = GRID.model_copy(update={"resolution_m": resolution_m})
    asked = request(write_catalogue(tmp_path, daily(2), ("B11",)), grid=grid, bands=("B11",))
    cube = build_cube(asked, tmp_path / "c.zarr").path
    before = files(cube, "qa")
    remask(cube, QaSettings())
    assert files(cube, "qa") == before
    settings = QaSettings(dilate_m=60)
    remask(cube, settings)
    raw = open_raw(cube)
    bits = qa_from_scl(raw.read("scl", 1))
    refined = refine(bits, settings, resolution_m)
    assert np.array_equal(raw.read("qa", 1), refined_qa(bits, refined.kept, refined.near))


def test_settings_are_remembered_and_shown(wide: Path, tmp_path: Path) -> None:
    cube = build_cube(
        request(wide, grid=WIDE, refinement=Refinement(dilate_m=30)), tmp_path / "c.zarr"
    ).path
    built = describe(cube)
    assert isinstance(built, CubeInfo)
    assert built.qa == QaSettings(dilate_m=30)
    remask(cube, QaSettings(dilate_m=60, erode_m=20))
    again = describe(cube)
    assert isinstance(again, CubeInfo)
    assert again.qa == QaSettings(dilate_m=60, erode_m=20)


class Stop(Exception):
    """Ends a run in the middle."""


def stop(*_: object) -> None:
    raise Stop


def test_an_interrupted_run_leaves_the_cube_as_it_was_and_goes_on(
    cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, look, seen = files(cube, "qa"), unit_module.Eyes.look, []

    def stop_after_five(eyes: unit_module.Eyes, unit: object) -> object:
        seen.append(unit)
        if len(seen) > 5:
            raise Stop
        return look(eyes, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(unit_module.Eyes, "look", stop_after_five)
    with pytest.raises(Stop):
        remask(cube, QaSettings(dilate_m=40), threads=1)
    monkeypatch.undo()
    assert files(cube, "qa") == before
    open_raw(cube)  # readers notice nothing

    whole = tmp_path / "whole.zarr"
    shutil.copytree(cube, whole)
    remask(whole, QaSettings(dilate_m=40))
    done = remask(cube, QaSettings(dilate_m=40))
    assert done.resumed == 5
    assert files(cube, "qa") == files(whole, "qa")


def test_the_ledger_knows_the_new_chunks(wide: Path, tmp_path: Path) -> None:
    cube = build_cube(request(wide, grid=WIDE), tmp_path / "c.zarr").path
    remask(cube, QaSettings(dilate_m=60))
    found = verify_cube(cube)
    assert found.compared_with == "checksums of its chunks"
    assert not found.damaged
    after = files(cube, "qa")
    again = build_cube(request(wide, grid=WIDE), cube)  # finds nothing left to do
    assert again.resumed == again.units
    assert files(cube, "qa") == after


def test_other_settings_begin_anew(cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sits_data.remask.swap", stop)
    with pytest.raises(Stop):
        remask(cube, QaSettings(dilate_m=40))
    monkeypatch.undo()
    assert remask(cube, QaSettings(dilate_m=20)).resumed == 0


def test_a_unit_that_was_built_again_is_looked_at_again(
    cube: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sits_data.remask.swap", stop)
    with pytest.raises(Stop):
        remask(cube, QaSettings(dilate_m=40))
    monkeypatch.undo()
    later = (cube.parent / ".c.zarr.qa/qa/c/0/0/0").stat().st_mtime_ns + 10**9
    os.utime(cube / "qa/c/0/0/0", ns=(later, later))
    assert remask(cube, QaSettings(dilate_m=40)).resumed == 15


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_crash_while_chunks_are_swapped(
    renames: int, cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole.zarr"
    shutil.copytree(cube, whole)
    remask(whole, QaSettings(dilate_m=40))
    left, rename = [renames], Path.rename

    def count(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise Stop
        left[0] -= 1
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", count)
    if renames == 2:  # both are done, the attributes are not
        edit, edits = staging._edit_attributes, []

        def first_only(path: Path, changes: Mapping[str, object]) -> None:
            edits.append(path)
            if len(edits) > 1:
                raise Stop
            edit(path, changes)

        monkeypatch.setattr(staging, "_edit_attributes", first_only)
    with pytest.raises(Stop):
        remask(cube, QaSettings(dilate_m=40))
    monkeypatch.undo()
    with pytest.raises(IncompleteCube, match="run the same sits-data mask command again"):
        open_raw(cube, allow_incomplete=True)
    remask(cube, QaSettings(dilate_m=40))
    assert files(cube, "qa") == files(whole, "qa")
    assert not list(tmp_path.glob(".*"))


def test_one_process_at_a_time(cube: Path) -> None:
    folder = os.open(cube, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(OutputExists, match="another process"):
        remask(cube, QaSettings())
    os.close(folder)


def test_not_while_it_is_built(wide: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.zarr"
    build_cube(request(wide, grid=WIDE), path)
    with (path.with_name("c.zarr.state") / "ledger.jsonl").open("a") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        with pytest.raises(OutputExists, match="another process"):
            remask(path, QaSettings())


class Bright:
    """Cloud where a band is bright: a detector of two bands that remembers what it saw."""

    bands = ("B08", "B04")
    context_m = 300.0

    def __init__(self) -> None:
        self.views: list[View] = []

    def detect(self, view: View) -> np.ndarray:
        self.views.append(view)
        return np.where(view.reflectance[0] > 0.4, np.uint8(QA.CLOUD), np.uint8(0))


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Install a detector called `bright` as a plug-in."""

    def install(detector: object) -> None:
        class Entry:
            name = "bright"

            def load(self) -> Callable[[str, Target], object]:
                return lambda *_: detector

        def find(*, group: str, name: str = "bright") -> list[Entry]:
            assert group == "sits_data.detectors"
            return [Entry()] if name == "bright" else []

        monkeypatch.setattr("sits_data.detectors.entry_points", find)

    return install


@pytest.mark.parametrize("detectors", [("bright",), ("scl", "bright")])
def test_a_plug_in_instead_of_or_beside_scl(
    detectors: tuple[str, ...], cube: Path, plug_in: Callable[[object], None]
) -> None:
    arrays = {name: open_raw(cube).read(name) for name in ("reflectance", "scl")}
    group = zarr.open_group(cube, mode="r+")
    qa = group["qa"]
    assert isinstance(qa, zarr.Array)
    qa[...] = 0
    bright = Bright()
    plug_in(bright)
    remask(cube, QaSettings(detectors=detectors))
    expected = qa_from_scl(arrays["scl"])
    if "scl" not in detectors:
        expected &= ~np.uint8(OBSCURED)
    dn = arrays["reflectance"][:, 1]
    expected[(dn > 5000)] |= np.uint8(QA.CLOUD)
    assert np.array_equal(open_raw(cube).read("qa"), expected)
    assert not (expected & FLAGS).any()
    assert {view.day for view in bright.views} >= {date(2019, 1, 4)}
    assert {view.reflectance.shape for view in bright.views} == {
        (2, 520, 530), (2, 520, 48), (2, 38, 530), (2, 38, 48),
    }  # fmt: skip
    assert all(view.geobox.shape == view.reflectance.shape[1:] for view in bright.views)
    assert any(np.isnan(view.reflectance).any() for view in bright.views)


def test_a_detector_lacks_a_band_or_says_nonsense(cube: Path, plug_in: Callable[[object], None]) -> None:
    before = files(cube, "qa")
    lacks = Bright()
    lacks.bands = ("B12", "B04")
    plug_in(lacks)
    with pytest.raises(MissingBand, match="bright needs B12, B04, this cube has no B12"):
        remask(cube, QaSettings(detectors=("bright",)))

    class Wild(Bright):
        def detect(self, view: View) -> np.ndarray:
            return np.full(view.reflectance.shape[1:], QA.NO_DATA, np.uint8)

    plug_in(Wild())
    with pytest.raises(InvalidRequest, match="bits of cloud, shadow, cirrus and snow, bright gave"):
        remask(cube, QaSettings(detectors=("bright",)))
    assert files(cube, "qa") == before


@pytest.mark.parametrize("detectors", [(), ("scl", "scl")])
def test_each_detector_once(detectors: tuple[str, ...], cube: Path) -> None:
    with pytest.raises(InvalidRequest, match="at least one detector, each once"):
        remask(cube, QaSettings(detectors=detectors))


def test_the_command(simulated: Path, tmp_path: Path, sits_data: Run) -> None:
    truth = simulated / "truth/clear.tif"
    days = "--start", "2021-03-01", "--end", "2022-10-31"
    source = "--aoi", simulated / "aoi.geojson", "--catalog", simulated / "catalog.json"
    assert sits_data("build-cube", *source, *days, "--out", "c.zarr").returncode == 0
    run = sits_data("mask", "c.zarr", "--erode", "20", "--dilate", "60", "--json")
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert summary["clear_pct"] < summary["clear_pct_before"]
    assert summary["units"] == 16
    shown = sits_data("info", "c.zarr").stdout
    assert "quality bits  scl, erode 20 m, dilate 60 m" in shown
    run = sits_data("mask", "c.zarr", "--detector", f"classes:{truth}:0=cloud", "--mask", "permissive")
    assert run.returncode == 0, run.stderr
    raw = open_raw(tmp_path / "c.zarr")
    cloudy = (raw.read("qa") & QA.CLOUD) != 0
    expected = _truth(truth, raw.geobox)
    assert np.array_equal(cloudy, expected == 0)


def _truth(path: Path, geobox: object) -> np.ndarray:
    import rasterio
    from rasterio.windows import from_bounds

    with rasterio.open(path) as source:
        box = geobox.boundingbox.bbox  # type: ignore[attr-defined]
        return np.asarray(source.read(window=from_bounds(*box, source.transform)))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nothing.zarr",), 1, "nothing.zarr is not a cube"),
        (("c.zarr", "--detector", "sl"), 1, "no detector is called 'sl'; did you mean scl?"),
        (("c.zarr", "--dilate", "-3"), 2, "-3.0 is not in the range 0<=x<=5000"),
        (("c.zarr", "--mask", "lax"), 2, "unknown mask 'lax'"),
    ],
)
def test_bad_commands(
    arguments: tuple[str, ...], code: int, says: str, cube: Path, sits_data: Run
) -> None:
    run = sits_data("mask", *arguments)
    assert (run.returncode, run.stdout) == (code, "")
    assert says in " ".join(run.stderr.split())
    assert code == 2 or run.stderr.count("\n") == 1
