"""The servers of `stac_site` from a test's side."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

type Json = dict[str, Any]
SCRIPT = Path(__file__).with_name("stac_site.py")


@dataclass
class StacApi:
    """The running servers, from a test's side."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes the known catalogues these ones."""
        host = self.url.removeprefix("http://")
        return {
            "SITS_EARTH_SEARCH_URL": f"{self.url}/earth-search",
            "SITS_PLANETARY_COMPUTER_URL": f"{self.url}/planetary-computer",
            "SITS_PLANETARY_COMPUTER_SAS": f"{self.url}/sas",
            "SITS_PLANETARY_COMPUTER_BLOBS": host.partition(":")[0],
            "SITS_CDSE_URL": f"{self.url}/cdse",
            "SITS_CDSE_S3": self.url,
            "AWS_ACCESS_KEY_ID": "KEY",
            "AWS_SECRET_ACCESS_KEY": "SECRET",
        }

    def log(self) -> list[Json]:
        """All requests so far: `path`, `method`, `status`, `time`, `query`, `body`."""
        answer: list[Json] = requests.get(f"{self.url}/log", timeout=10).json()
        return answer

    def configure(self, **settings: object) -> None:
        """Change `stac_site.Settings`, and forget the log and all tokens."""
        requests.post(f"{self.url}/settings", json=settings, timeout=10).raise_for_status()


@contextmanager
def serve_apis(items: Mapping[str, list[Json]], files: Path) -> Iterator[StacApi]:
    """Serve items (by dialect; `{url}` in them becomes the server's address) and a folder's files."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    given = files / "apis.json"
    given.write_text(json.dumps(items).replace("{url}", url))
    command = [sys.executable, SCRIPT, str(port), str(given), str(files)]
    errors = files / "apis.log"
    with errors.open("w") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            _wait_for(url, process, errors)
            yield StacApi(url)
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", errors: Path) -> None:
    for _ in range(600):
        try:
            requests.get(f"{url}/log", timeout=1)
        except requests.ConnectionError:
            if process.poll() is not None:
                raise RuntimeError(errors.read_text()) from None
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)
