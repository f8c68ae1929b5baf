"""Files over HTTP with ranges, on 127.0.0.1, and on request the faults that object stores have.

An address `/MODE/PATH` serves PATH with a fault. Only reads of pixels fail: what starts in the first
`header` bytes of a file (a COG's header) is served well. A mode that ends in `-once` fails the first
request of each (address, first byte) and serves the next ones.

`ok` · `e404`, `e500`, `e503`, `e403` · `e429` with `Retry-After` · `cut`: half of the body, then the
connection is closed · `flip`: 64 bytes in the middle are zeroed · `drip`:
100 bytes every 0.1 s · `slow`: 30 ms later
"""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Self

STATUS = {"e403": 403, "e404": 404, "e429": 429, "e500": 500, "e503": 503}


@dataclass
class FaultServer:
    """Serves the files below a folder.

    Args:
        folder: where they lie.
        header: first so many bytes of a file that no fault touches.
        retry_after_s: what 429 asks for.
        broken: whether faults happen at all.
        requests: how many came, by mode.
        bytes: how many bytes of files were sent, by mode.
        times: when each request of an address came, seconds.
    """

    folder: Path
    header: int = 4096
    retry_after_s: int = 1
    broken: bool = True
    requests: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    times: list[tuple[float, str, int]] = field(default_factory=list)
    seen: set[tuple[str, int]] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"faults": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def fault(self, mode: str, path: str, first: int) -> str:
        """What goes wrong with a request: a mode without `-once`, or `ok`."""
        name, once, _ = mode.partition("-once")
        with self.lock:
            self.requests[mode] += 1
            if not self.broken or (first < self.header and name != "e403"):
                return "ok" if name != "slow" else name
            if once and (path, first) in self.seen:
                return "ok"
            self.seen.add((path, first))
        return name


class _Handler(BaseHTTPRequestHandler):
    faults: FaultServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def _serve(self, *, body: bool) -> None:
        mode, _, path = self.path.lstrip("/").partition("/")
        file = self.faults.folder / path
        if not file.is_file():
            self._answer(404, b"", {})
            return
        data, headers = file.read_bytes(), {"Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2] or len(data))) if asked else (0, len(data))
        last = min(last, len(data) - 1)
        if asked:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first : last + 1]
        fault = self.faults.fault(mode, path, first) if body else "ok"
        if fault in STATUS:
            wait = {"Retry-After": str(self.faults.retry_after_s)} if fault == "e429" else {}
            self._answer(STATUS[fault], b"", wait)
            return
        if fault == "slow":
            time.sleep(0.03)
        if fault == "flip":
            middle = len(data) // 2
            data = data[:middle] + bytes(64) + data[middle + 64 :]
        self._answer(206 if asked else 200, data, headers, body=body, fault=fault)
        if body:
            with self.faults.lock:
                self.faults.bytes[mode] += len(data)

    def _answer(
        self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True, fault: str = "ok"
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        try:
            if fault == "cut":
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
            elif fault == "drip":
                for start in range(0, len(data), 100):
                    self.wfile.write(data[start : start + 100])
                    time.sleep(0.1)
            else:
                self.wfile.write(data)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
