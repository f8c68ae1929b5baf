"""Whatever goes wrong: one line that says what to do, the right exit code, nothing that looks whole."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from installed import Run
from stac_server import StacServer

DATES = ("--start", "2020-01-01", "--end", "2020-12-31", "--bands", "B04,B11")
SQUARE = [[4.41, 50.9], [4.42, 50.9], [4.42, 50.91], [4.41, 50.91], [4.41, 50.9]]
BOWTIE = [[4.41, 50.9], [4.42, 50.91], [4.42, 50.9], [4.41, 50.91], [4.41, 50.9]]
METRES = [[6e5, 5.6e6], [6.1e5, 5.6e6], [6.1e5, 5.7e6], [6e5, 5.6e6]]


def error_line(run: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line on stderr; fails when there is more than it and a progress bar."""
    assert run.returncode == code, (run.returncode, run.stderr[-500:], run.stdout)
    assert "Traceback" not in run.stderr, run.stderr[-500:]
    shown = [line for line in run.stderr.split("\n") if line and not line.startswith("\rbuild")]
    assert len(shown) == 1, run.stderr
    assert shown[0].startswith("sits-data: ")
    return shown[0]


def looks_whole(path: Path) -> bool:
    """Whether a reader would take a path for a finished cube."""
    if not (path / "zarr.json").is_file():
        return path.exists()
    return json.loads((path / "zarr.json").read_text())["attributes"].get("status") != "building"


def geojson(*rings: list[list[float]] | None) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": ring and {"type": "Polygon", "coordinates": [ring]},
        }
        for ring in rings
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def no_crs(path: Path) -> None:
    frame = gpd.GeoDataFrame(geometry=[shapely.box(600000, 5639820, 600120, 5640000)], crs="EPSG:32631")
    frame.to_file(path)
    path.with_suffix(".prj").unlink()


AOIS: dict[str, tuple[str, str | bytes | Callable[[Path], None] | None, str]] = {
    "missing": ("none.geojson", None, "does not exist"),
    "folder": ("folder.geojson", Path.mkdir, "not GeoJSON"),
    "text": ("a.geojson", "hello", "not GeoJSON"),
    "binary": ("a.geojson", b"\xff\xfe\x00\x01", "not GeoJSON"),
    "json list": ("a.geojson", "[1, 2]", "not GeoJSON"),
    "other json": ("a.geojson", '{"type": "Topology"}', "not GeoJSON"),
    "not gpkg": ("a.gpkg", b"not a database", "not a vector file"),
    "not parquet": ("a.parquet", b"not parquet", "not GeoParquet"),
    "no features": ("a.geojson", geojson(), "no features"),
    "null geometry": ("a.geojson", geojson(SQUARE, None), "feature 1 has an empty geometry"),
    "empty geometry": ("a.geojson", geojson([]), "empty geometry"),
    "two corners": ("a.geojson", geojson(SQUARE[:2]), ""),
    "letters": ("a.geojson", geojson([["a", "b"]] * 4), ""),  # type: ignore[list-item]
    "self-intersecting": ("a.geojson", geojson(BOWTIE), "not valid (Self-intersection"),
    "point": ("a.geojson", '{"type": "Point", "coordinates": [4.4, 50.9]}', "buffer"),
    "metres": ("a.geojson", geojson(METRES), "not degrees"),
    "no crs": ("a.shp", no_crs, "does not say its CRS"),
    "bbox the wrong way": ("4.42,50.9,4.41,50.91", None, "west < east"),
    "bbox of three": ("4.41,50.9,4.42", None, "does not exist"),
    "not a number": ("nan,nan,nan,nan", None, "west < east"),
    "inline": (geojson(SQUARE, SQUARE, SQUARE), None, ""),
    "antimeridian": ("-179,50,179,51", None, "antimeridian"),
    "pole": ("4,84,5,89", None, "UTM"),
}  # fmt: skip


@pytest.mark.parametrize("case", AOIS)
def test_bad_aoi(case: str, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    name, content, says = AOIS[case]
    if callable(content):
        content(tmp_path / name)
    elif content is not None:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
    run = sits_data(
        "build-cube", "--aoi", name, "--catalog", tiny / "catalog.json", *DATES, "--out", "c.zarr"
    )
    assert says in error_line(run)
    assert not (tmp_path / "c.zarr").exists()
    assert not (tmp_path / "c.zarr.state").exists()


REQUESTS: dict[str, tuple[tuple[str, ...], str]] = {
    "end before start": (("--start", "2020-06-01", "--end", "2020-05-31"), "swap --start and --end"),
    "unknown band": (("--bands", "B04,B99"), "unknown band 'B99'"),
    "no band": (("--bands", ""), "unknown band ''"),
    "band twice": (("--bands", "red,B04"), "asked for twice"),
    "band that the catalogue lacks": (("--bands", "B04,B08"), "has no asset for B08"),
    "no scenes": (("--start", "2010-01-01", "--end", "2010-12-31"), "no scenes found"),
    "area elsewhere": (("--aoi", "10,40,10.01,40.01"), "no scenes found"),
    "too cloudy": (("--max-cloud", "5"), "raise --max-cloud"),
    "other collection": (("--collection", "landsat"), "no scenes found"),
    "CRS in degrees": (("--crs", "EPSG:4326"), "must be a UTM zone"),
    "no CRS": (("--crs", "banana"), "is not a CRS"),
}  # fmt: skip


@pytest.mark.parametrize("command", ["build-cube", "search"])
@pytest.mark.parametrize("case", REQUESTS)
def test_bad_request(case: str, command: str, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    args, says = REQUESTS[case]
    common = ("--aoi", tiny / "aoi.geojson", "--catalog", tiny / "catalog.json", *DATES)
    run = sits_data(command, *common, *args)
    assert says in error_line(run)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "args",
    [
        ("--start", "2020-13-01"),
        ("--start", "yesterday"),
        ("--resolution", "30"),
        ("--max-cloud", "101"),
        ("--threads", "0"),
        ("--mask", "none"),
        ("--dilate", "-1"),
        ("--no-such-option",),
    ],
)
def test_bad_usage(args: tuple[str, ...], tiny: Path, sits_data: Run) -> None:
    run = sits_data("build-cube", "--aoi", tiny / "aoi.geojson", *args)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith("Error: ")


def test_no_aoi_is_usage(sits_data: Run) -> None:
    run = sits_data("build-cube")
    assert run.returncode == 2
    assert "Missing option '--aoi'" in run.stderr


# --- catalogues -----------------------------------------------------------------------------------


def build(run: Run, tiny: Path, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    common = ("--aoi", tiny / "aoi.geojson", "--catalog", tiny / "catalog.json", *DATES)
    return run("build-cube", *common, "--out", "c.zarr", *args, **options)


def damaged(tiny: Path, folder: Path, file: str, edit: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a catalogue with one JSON file changed."""
    copy = folder / "damaged"
    shutil.copytree(tiny, copy)
    path = next(copy.glob(file))
    content = json.loads(path.read_text())
    path.write_text(json.dumps(edit(content) or content))
    return copy / "catalog.json"


type Edit = Callable[[dict[str, Any]], object]


def drop(name: str) -> Edit:
    return lambda item: item.pop(name) and None


def top(**fields: object) -> Edit:
    return lambda content: content.update(fields)


def prop(**properties: object) -> Edit:
    return lambda item: item["properties"].update(properties)


def asset(**fields: object) -> Edit:
    return lambda item: item["assets"]["red"].update(fields)


def link(rel: str, href: str) -> Edit:
    return lambda catalog: catalog["links"].append({"rel": rel, "href": href})


def offset(value: float) -> Edit:
    """The asset itself says its offset, and nothing else does."""

    def edit(item: dict[str, Any]) -> None:
        del item["properties"]["earthsearch:boa_offset_applied"]
        item["assets"]["red"]["raster:offset"] = value

    return edit


ID = "S2A_31UFS_20200102_0_L2A"
ITEM = f"items/{ID}/item.json"
NOT_STAC, ADDRESS = "is not a STAC catalogue", "is not an address"
VRT = "<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>"
CATALOGUES: dict[str, tuple[str, Edit, str]] = {
    "a list": ("catalog.json", lambda _: [1, 2], NOT_STAC),
    "other json": ("catalog.json", lambda _: {"a": 1}, NOT_STAC),
    "an item": ("catalog.json", top(type="Feature"), NOT_STAC),
    "links in words": ("catalog.json", top(links="none"), NOT_STAC),
    "lost item": ("collection.json", link("item", "./gone.json"), "gone.json"),
    "lost child": ("catalog.json", link("child", "./gone.json"), "gone.json"),
    "item without assets": (ITEM, drop("assets"), "has no asset for B04"),
    "item without properties": (ITEM, drop("properties"), NOT_STAC),
    "bad time": (ITEM, prop(datetime="in the morning"), NOT_STAC),
    "odd geometry": (ITEM, top(geometry={"type": "Polygon", "coordinates": [[1, 2]]}), NOT_STAC),
    "odd kind": (ITEM, top(geometry={"type": "Blob", "coordinates": [[1, 2]]}), NOT_STAC),
    "clouds in words": (ITEM, prop(**{"eo:cloud_cover": "few"}), ID),
    "angle list": (ITEM, prop(**{"view:azimuth": [1, 2]}), ID),
    "unknown baseline": (
        ITEM, prop(**{"s2:processing_baseline": "?", "earthsearch:boa_offset_applied": None}),
        "--assume-offset",
    ),
    "odd scale": (ITEM, asset(**{"raster:bands": [{"scale": 1}]}), "scale"),
    "scale list": (ITEM, asset(**{"raster:scale": [1]}), "scale"),
    "odd offset": (ITEM, offset(-0.2), "raster:offset"),
    "two offsets": (ITEM, offset(-0.1), "different offsets"),
    "missing raster": (ITEM, asset(href="./gone.tif"), "gone.tif"),
    "raster above": (ITEM, asset(href="../../../gone.tif"), "gone.tif"),
    "absolute raster": (ITEM, asset(href="/nowhere/gone.tif"), "gone.tif"),
    "no raster": (ITEM, asset(href="./item.json"), "item.json"),
    "inline VRT": (ITEM, asset(href=VRT), ADDRESS),
    "vsi": (ITEM, asset(href="/vsimem/x.tif"), ADDRESS),
    "vsi behind file": (ITEM, asset(href="file:///vsizip//etc/x.zip/x.tif"), ADDRESS),
    "driver prefix": (ITEM, asset(href="GTIFF_DIR:1:/etc/x.tif"), "cannot read"),
    "newlines": (ITEM, asset(href="./a\nb.tif"), "b.tif"),
}  # fmt: skip


BUILT_IN_PART = {
    *("missing raster", "raster above", "absolute raster", "no raster", "driver prefix", "newlines"),
}


@pytest.mark.parametrize("case", CATALOGUES)
def test_bad_catalogue(case: str, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    file, edit, says = CATALOGUES[case]
    catalog = damaged(tiny, tmp_path, file, edit)
    # What can be read is built: the same command goes on when the catalogue is mended.
    code = 4 if case in BUILT_IN_PART else 1
    assert says in error_line(build(sits_data, tiny, "--catalog", catalog), code)
    assert not looks_whole(tmp_path / "c.zarr")


def test_ids_that_climb_stay_text(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    evil = "../../../evil"
    catalog = damaged(tiny, tmp_path, ITEM, lambda item: item.update(id=evil))
    before = set(tmp_path.parent.iterdir())
    assert build(sits_data, tiny, "--catalog", catalog).returncode == 0
    assert set(tmp_path.parent.iterdir()) == before
    assert {path.name for path in tmp_path.iterdir()} == {
        *("damaged", "c.zarr", "c.zarr.state", "c.zarr.item.json"),
    }


@pytest.mark.parametrize("name", ["none/catalog.json", "tiny", "earth-serch"])
def test_missing_catalogue(name: str, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    (tmp_path / "tiny").mkdir()
    assert "no catalogue at" in error_line(build(sits_data, tiny, "--catalog", name))


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.mark.parametrize("path", ["", "/catalog.json"])
def test_catalogue_is_unreachable(path: str, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    run = build(sits_data, tiny, "--catalog", f"http://127.0.0.1:{closed_port()}{path}")
    assert "cannot be reached" in error_line(run)
    assert not list(tmp_path.iterdir())


WEBSITES: dict[str, tuple[str, bytes, str]] = {
    "html": ("/", b"<html>hello</html>", "not a STAC catalogue"),
    "html as json": ("/catalog.json", b"<html>hello</html>", "not a STAC catalogue"),
    "json list": ("/", b"[1]", "not a STAC catalogue"),
    "json": ("/", b'{"hello": "world"}', "not a STAC catalogue"),
    "not there": ("/other", b"", "cannot be reached"),
    "file not there": ("/other.json", b"", "cannot be reached"),
    "no search": (
        "/",
        b'{"type": "Catalog", "stac_version": "1.0.0", "id": "x", "description": "x", "links": []}',
        "not a STAC catalogue",
    ),
}


@pytest.mark.parametrize("case", WEBSITES)
def test_website_is_not_stac(
    case: str, tiny: Path, tmp_path: Path, sits_data: Run, website: Any
) -> None:
    path, content, says = WEBSITES[case]
    url = website({"/": content, "/catalog.json": content})
    assert says in error_line(build(sits_data, tiny, "--catalog", url + path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("link", ["self link", "no self link", "self link to a file"])
@pytest.mark.parametrize("href", ["file://{}", "{}"])
def test_api_that_names_local_files_is_refused(
    href: str, link: str, tiny: Path, tmp_path: Path, sits_data: Run, stac_server: StacServer
) -> None:
    item = stac_server.items[0]
    local = tiny / "items" / item["id"]
    item["assets"]["red"]["href"] = href.format(local / "B04.tif")
    links = {
        "self link": [{"rel": "self", "href": f"{stac_server.url}/x"}],
        "no self link": [],
        "self link to a file": [{"rel": "self", "href": str(local / "item.json")}],
    }
    item["links"] = links[link]
    run = build(sits_data, tiny, "--catalog", stac_server.url)
    line = error_line(run, run.returncode)
    # An address on the server is one that a catalogue may name; nothing is there.
    refused = run.returncode == 1 and "not an address" in line
    assert refused or (run.returncode == 4 and "cannot read http" in line)
    assert not looks_whole(tmp_path / "c.zarr")


def test_static_catalogue_of_the_web_that_names_local_files_is_refused(
    tiny: Path, tmp_path: Path, sits_data: Run, stac_server: StacServer
) -> None:
    local = (tiny / "items" / stac_server.items[0]["id"] / "item.json").as_uri()
    catalog = damaged(
        tiny, tmp_path, "collection.json", lambda c: c["links"].append({"rel": "item", "href": local})
    )
    stac_server.folder = catalog.parent
    run = build(sits_data, tiny, "--catalog", f"{stac_server.url}/files/catalog.json")
    assert "not on the web" in error_line(run)


# --- outputs --------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_same_request_is_done_already(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    assert build(sits_data, tiny).returncode == 0
    before = tree(tmp_path)
    again = build(sits_data, tiny, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["units_resumed"] == 3
    assert tree(tmp_path) == before


def test_other_request_needs_overwrite(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    assert build(sits_data, tiny).returncode == 0
    before = tree(tmp_path)
    assert "--overwrite" in error_line(build(sits_data, tiny, "--bands", "B04"))
    assert tree(tmp_path) == before
    assert build(sits_data, tiny, "--bands", "B04", "--overwrite").returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *("c.zarr", "c.zarr.state", "c.zarr.item.json"),
    }
    assert not looks_whole(tmp_path / "c.zarr.partial")


def test_failed_overwrite_leaves_the_cube(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    assert build(sits_data, tiny).returncode == 0
    before = tree(tmp_path)
    error_line(build(sits_data, tiny, "--bands", "B08", "--overwrite"))
    assert tree(tmp_path) == before


def foreign_folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")


def foreign_zarr(path: Path) -> None:
    foreign_folder(path)
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')


def foreign_zarr_beside_our_state(path: Path) -> None:
    """The cube was deleted by hand and its place taken by something else."""
    foreign_zarr(path)
    shutil.copytree(path.parent / "mine.zarr.state", path.parent / "c.zarr.state")


def plain_file(path: Path) -> None:
    path.write_text("years of work")


@pytest.mark.parametrize("args", [(), ("--overwrite",)])
@pytest.mark.parametrize(
    "make", [foreign_folder, foreign_zarr, foreign_zarr_beside_our_state, plain_file, Path.mkdir]
)
def test_foreign_output_is_never_touched(
    make: Callable[[Path], None], args: tuple[str, ...], tiny: Path, tmp_path: Path, sits_data: Run
) -> None:
    if make is foreign_zarr_beside_our_state:
        assert build(sits_data, tiny, "--out", "mine.zarr").returncode == 0
    make(tmp_path / "c.zarr")
    before = tree(tmp_path)
    assert "choose another --out" in error_line(build(sits_data, tiny, *args))
    assert tree(tmp_path) == before
    assert (tmp_path / "c.zarr").exists()


@pytest.mark.parametrize(
    "out", ["file/c.zarr", "/proc/c.zarr", "/dev/null/c.zarr", ".", "/", "..", "x" * 300]
)
def test_unusable_out(out: str, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    (tmp_path / "file").touch()
    assert "choose another" in error_line(build(sits_data, tiny, "--out", out))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_no_permission_to_write(mode: int, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=mode)
    run = build(sits_data, tiny, "--out", "theirs/c.zarr", unprivileged=True)
    folder.chmod(0o700)
    assert "no permission" in error_line(run)
    assert not list(folder.iterdir())


def test_no_permission_to_read(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    shutil.copy(tiny / "aoi.geojson", tmp_path)
    (tmp_path / "aoi.geojson").chmod(0)
    run = build(sits_data, tiny, "--aoi", "aoi.geojson", unprivileged=True)
    assert "Permission denied" in error_line(run)


def test_disk_is_full(tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    """As on a full disk, no file may grow beyond the limit: metadata fits, a unit does not."""
    assert "make room" in error_line(build(sits_data, tiny, file_limit=1500))
    assert not looks_whole(tmp_path / "c.zarr")
    assert build(sits_data, tiny).returncode == 0


@pytest.mark.parametrize("kept", [0, 8, 300, 0.9])
def test_truncated_raster(kept: float, tiny: Path, tmp_path: Path, sits_data: Run) -> None:
    shutil.copytree(tiny, tmp_path / "cat")
    raster = tmp_path / "cat/items/S2A_31UFS_20200103_0_L2A/B11.tif"
    whole = raster.read_bytes()
    raster.write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    line = error_line(build(sits_data, tmp_path / "cat"), 4)
    assert "B11.tif" in line
    assert "again to continue" in line
    assert not looks_whole(tmp_path / "c.zarr")
    raster.write_bytes(whole)
    again = build(sits_data, tmp_path / "cat", "--json")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("args", [(), ("--bands", "B04")])
def test_cube_of_another_schema_version(
    args: tuple[str, ...], tiny: Path, tmp_path: Path, sits_data: Run
) -> None:
    assert build(sits_data, tiny).returncode == 0
    path = tmp_path / "c.zarr/zarr.json"
    content = json.loads(path.read_text())
    content["attributes"]["schema_version"] = 999
    path.write_text(json.dumps(content))
    before = tree(tmp_path)
    line = error_line(build(sits_data, tiny, *args))
    assert "999" in line
    assert "--overwrite" in line
    assert tree(tmp_path) == before
    assert build(sits_data, tiny, *args, "--overwrite").returncode == 0
