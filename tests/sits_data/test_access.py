import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from stac_api import StacApi

from sits_data import tokens
from sits_data.access import KNOWN, Access, access_of, known_catalogs
from sits_data.errors import CatalogError
from sits_data.tokens import container_of, is_signed


@pytest.fixture(autouse=True)
def no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts without tokens."""
    monkeypatch.setattr(tokens, "_TOKENS", {})


@pytest.fixture
def blob(mirrored: StacApi) -> str:
    return f"{mirrored.url}/blobs/tile/B04.tif"


def status(href: str) -> int:
    return requests.get(href, timeout=10).status_code


def asked(api: StacApi) -> int:
    """Tokens that were asked for."""
    return sum(entry["path"].startswith("/sas/") for entry in api.log())


def test_blob_is_signed(mirrored: StacApi, blob: str) -> None:
    access = access_of("planetary-computer")
    assert status(blob) == 403
    assert status(access.readable(blob)) == 200
    assert [e["path"] for e in mirrored.log() if "sas" in e["path"]] == ["/sas/127/blobs"]


def test_token_is_kept(mirrored: StacApi, blob: str) -> None:
    access = access_of("planetary-computer")
    signed = access.readable(blob)
    assert access.readable(blob) == signed
    assert access.readable(blob.replace("B04", "scl")).partition("?")[2] == signed.partition("?")[2]
    assert asked(mirrored) == 1


def test_signed_address_stays_as_it_is(mirrored: StacApi, blob: str) -> None:
    access = access_of("planetary-computer")
    assert access.readable(f"{blob}?sv=1&sig=mine") == f"{blob}?sv=1&sig=mine"
    assert access.readable(f"{blob}?versionid=2").startswith(f"{blob}?versionid=2&sig=")


def test_threads_share_one_token(mirrored: StacApi, blob: str) -> None:
    access = access_of("planetary-computer")
    with ThreadPoolExecutor(16) as pool:
        signed = set(pool.map(access.readable, [blob] * 64))
    assert len(signed) == 1
    assert asked(mirrored) == 1


def test_token_is_renewed_five_minutes_before_it_ends(
    mirrored: StacApi, blob: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = access_of("planetary-computer")
    first = access.readable(blob)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 - 310)
    assert access.readable(blob) == first
    monkeypatch.setattr(time, "time", lambda: now + 3600 - 290)
    assert access.readable(blob) != first
    assert asked(mirrored) == 2


def test_short_tokens_are_renewed_at_half_their_life(mirrored: StacApi, blob: str) -> None:
    """A read that starts with a token of a service with short ones still ends in time."""
    mirrored.configure(token_life_s=2)
    access = access_of("planetary-computer")
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        assert status(access.readable(blob)) == 200
        time.sleep(0.05)
    assert 5 <= asked(mirrored) <= 7


def test_refused_token_is_forgotten(mirrored: StacApi, blob: str) -> None:
    access = access_of("planetary-computer")
    old = access.readable(blob)
    mirrored.configure(revoked=True)
    assert status(old) == status(access.readable(blob)) == 403
    access.forget(blob)
    new = access.readable(blob)
    assert status(new) == 200
    access.forget(old)  # another thread, whose read failed with the old one, comes late
    assert access.readable(blob) == new
    assert asked(mirrored) == 1


def test_busy_token_service_is_asked_again(mirrored: StacApi, blob: str) -> None:
    mirrored.configure(busy=2, retry_after="1")
    began = time.monotonic()
    assert status(access_of("planetary-computer").readable(blob)) == 200
    assert time.monotonic() - began >= 2
    assert asked(mirrored) == 3


def test_own_key_goes_to_the_token_service_only(
    mirrored: StacApi, blob: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tokens.KEY_VARIABLE, "mine")
    status(access_of("planetary-computer").readable(blob))
    assert {e["path"]: e["key"] for e in mirrored.log()} == {
        "/sas/127/blobs": "mine",
        "/blobs/tile/B04.tif": None,
    }


@pytest.mark.parametrize(
    "page", [b"", b"{}", b'{"token": "sig=1"}', b'{"token": "sig=1", "msft:expiry": "soon"}', b"[]"]
)
def test_token_service_that_answers_nonsense(
    page: bytes, website: Callable[[dict[str, bytes]], str]
) -> None:
    access = Access(sas=website({"/acct/box": page}), blobs=".blob.core.windows.net")
    with pytest.raises(CatalogError, match="no token to read acct/box from http"):
        access.readable("https://acct.blob.core.windows.net/box/a.tif")


def test_token_service_that_knows_no_such_container(
    website: Callable[[dict[str, bytes]], str],
) -> None:
    with pytest.raises(CatalogError, match="404"):
        Access(sas=website({})).readable("https://acct.blob.core.windows.net/box/a.tif")


@pytest.mark.parametrize(
    "href",
    ["https://sentinel-cogs.s3.us-west-2.amazonaws.com/a.tif", "/data/a.tif", "gs://bucket/a.tif",
     "https://blob.core.windows.net.example.org/c/a.tif"],
)  # fmt: skip
def test_other_addresses_stay_as_they_are(href: str) -> None:
    for name in ("planetary-computer", "earth-search", "nowhere/catalog.json"):
        assert access_of(name).readable(href) == href
        access_of(name).forget(href)


def test_real_blobs_of_the_planetary_computer() -> None:
    href = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/47/X/ML/B04.tif"
    where = container_of(href, "sas")
    assert (where.account, where.name) == ("sentinel2l2a01", "sentinel2-l2")
    assert not is_signed(href)
    assert is_signed(f"{href}?st=2026&se=2026&sp=rl&sig=abc%3D")


def test_cdse_needs_keys_and_says_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    access = access_of("cdse")
    with pytest.raises(CatalogError, match=r"s3://eodata needs .*eodata-s3keysmanager.*AWS_SECRET"):
        access.readable("s3://eodata/a.jp2")
    monkeypatch.setenv("AWS_PROFILE", "cdse")
    assert access.readable("s3://eodata/a.jp2") == "/vsis3/eodata/a.jp2"


def test_cdse_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SITS_CDSE_S3", raising=False)
    assert access_of("cdse").gdal["AWS_S3_ENDPOINT"] == "eodata.dataspace.copernicus.eu"
    assert access_of("cdse").gdal["AWS_HTTPS"] == "YES"
    assert access_of("cdse").connections == 4


def test_never_more_connections_than_allowed() -> None:
    access = Access(connections=3)
    held, most, lock = 0, 0, threading.Lock()

    def hold(_: int) -> None:
        nonlocal held, most
        with pickle.loads(pickle.dumps(access)).slot("s3://eodata-test/a.jp2"):
            with lock:
                held += 1
                most = max(most, held)
            time.sleep(0.01)
            with lock:
                held -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(hold, range(48)))
    assert most == 3


def test_slot_is_given_back_after_an_error() -> None:
    access = Access(connections=1)
    for _ in range(2):
        with pytest.raises(KeyError), access.slot("s3://eodata-errors/a.jp2"):
            raise KeyError


def test_forked_process_has_slots_of_its_own() -> None:
    access = Access(connections=1)
    with access.slot("s3://eodata-fork/a.jp2"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads do not survive a fork
            child = os.fork()
        if child == 0:
            signal.alarm(10)
            with access.slot("s3://eodata-fork/a.jp2"):
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_access_by_name_and_by_address() -> None:
    for name, known in known_catalogs().items():
        assert access_of(name) == access_of(known.address) == access_of(f"{known.address}/")
        assert pickle.loads(pickle.dumps(access_of(name))) == access_of(name)
    assert tuple(known_catalogs()) == KNOWN
    assert access_of("https://example.org/stac") == access_of("items.parquet") == Access()


def test_access_of_a_file_of_items_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITS_ACCESS", "planetary-computer")
    assert access_of("items.parquet") == access_of("planetary-computer")
    assert access_of("earth-search") == Access()
    monkeypatch.setenv("SITS_ACCESS", "mars")
    with pytest.raises(CatalogError, match="must name one of earth-search, planetary-computer, cdse"):
        access_of("items.parquet")


def test_no_secret_is_in_a_value(mirrored: StacApi, blob: str) -> None:
    def text(value: Any) -> str:
        return repr(value) + value.model_dump_json()

    access = access_of("planetary-computer")
    token = access.readable(blob).partition("?")[2]
    assert token not in text(access)
    assert "SECRET" not in text(access_of("cdse"))
