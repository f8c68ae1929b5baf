"""What several test modules share: catalogues, the installed command, web servers on loopback."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from flavours import FLAVOURS, SCENES, earth_search, earth_search_c1, write_rasters
from installed import Run, forked, run_in
from stac_api import StacApi, serve_apis
from stac_server import StacServer, serve_pages
from tiny_catalogue import daily, write_aoi, write_catalogue

hypothesis.settings.register_profile("shared-cores", deadline=None)
hypothesis.settings.load_profile("shared-cores")

REAL = Path(__file__).resolve().parents[1] / "../shared/catalogues"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three days, 12 x 18 pixels, with `aoi.geojson` beside it; read only."""
    folder = tmp_path_factory.mktemp("tiny")
    write_catalogue(folder, daily(3))
    write_aoi(folder / "aoi.geojson")
    return folder


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated catalogue of 16 dates, 96 x 96 pixels; read only."""
    from sits_data.simulate import simulate_catalog

    folder = tmp_path_factory.mktemp("simulated") / "land"
    return simulate_catalog(folder, seed=3, size_px=96, dates=16).folder


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of catalogues of real Sentinel-2 pixels."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent")
    return REAL.resolve()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Callable[[Path], Run]]:
    """Where processes of the command are forked from."""
    with forked() as in_folder:
        yield in_folder


@pytest.fixture
def sits_data(zygote: Callable[[Path], Run], tmp_path: Path) -> Run:
    """Run the command in `tmp_path`, in a forked process."""
    return zygote(tmp_path)


@pytest.fixture
def installed(tmp_path: Path) -> Run:
    """Run the installed script in `tmp_path`; seconds slower, for what needs a process from scratch."""
    return run_in(tmp_path)


@pytest.fixture
def stac_server(tiny: Path) -> Iterator[StacServer]:
    """A STAC API of the tiny catalogue on 127.0.0.1, its rasters served with range requests."""
    with StacServer.of(tiny) as server:
        yield server


@pytest.fixture
def website() -> Iterator[Callable[[dict[str, bytes]], str]]:
    """Serve a few paths on 127.0.0.1; everything else is 404."""
    with ExitStack() as stack:
        yield lambda pages: stack.enter_context(serve_pages(pages))


@pytest.fixture(scope="session")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StacApi]:
    """STAC APIs in every dialect, their rasters, tokens and keys, in a process of its own."""
    folder = tmp_path_factory.mktemp("apis")
    write_rasters(folder / "tile")
    where = {
        "earth-search": "{url}/files/tile",
        "planetary-computer": "{url}/blobs/tile",
        "cdse": "s3://eodata/tile",
        "plain": "{url}/files/tile",
        "cql2-text": "{url}/files/tile",
    }
    items = {
        name: [FLAVOURS.get(name, earth_search)(scene, files) for scene in SCENES]
        for name, files in where.items()
    }
    items["earth-search"] += [earth_search_c1(scene, where["earth-search"]) for scene in SCENES]
    with serve_apis(items, folder) as apis:
        yield apis


@pytest.fixture
def mirrored(apis: StacApi, monkeypatch: pytest.MonkeyPatch) -> StacApi:
    """The known catalogues are those of `apis`; no request and no token is known of."""
    monkeypatch.setattr("sits_data.tokens._TOKENS", {})
    for name, value in apis.environment.items():
        monkeypatch.setenv(name, value)
    apis.configure()
    return apis
