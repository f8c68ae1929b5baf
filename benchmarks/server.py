"""A web server of a folder on 127.0.0.1, in a process of its own: ranges, a delay, what it sent."""

import multiprocessing
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        address: of the folder.
        sent: bytes of files that it sent so far.
    """

    address: str
    sent: "Synchronized[int]"


class _RangeHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    delay_s = 0.0
    sent: "Synchronized[int]"

    def do_GET(self) -> None:
        time.sleep(self.delay_s)
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else size - 1, size - 1)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        with path.open("rb") as file:
            self.connection.sendfile(file, first, last - first + 1)
        with self.sent.get_lock():
            self.sent.value += last - first + 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass


def _serve(folder: str, delay_s: float, sent: "Synchronized[int]", pipe: Connection) -> None:
    os.chdir(folder)
    _RangeHandler.delay_s, _RangeHandler.sent = delay_s, sent
    with _QuietServer(("127.0.0.1", 0), _RangeHandler) as server:
        pipe.send(server.server_port)
        server.serve_forever()


@contextmanager
def serve(folder: Path, *, delay_s: float = 0.0) -> Iterator[Server]:
    """Serve a folder."""
    here, there = multiprocessing.Pipe()
    sent = multiprocessing.Value("q", 0)
    process = multiprocessing.Process(
        target=_serve, args=(str(folder), delay_s, sent, there), daemon=True
    )
    process.start()
    try:
        yield Server(f"http://127.0.0.1:{here.recv()}", sent)
    finally:
        process.terminate()
        process.join()
