"""Deadlines, pauses and questions: how long to wait for a server, and when to stop asking.

GDAL does not tell why a read over HTTP failed (a 404, a 503 and a cut body all read `got 0 bytes`), nor
does it pass on `Retry-After`. After a failure the server is therefore asked for two single bytes, the
first and the middle one, and its answer decides.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread, local
from typing import Any, Literal
from urllib.parse import urlparse

import requests
from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

from sits_data.errors import DeadlinePassed

ASK_TIMEOUT_S = (5, 10)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0

_GONE = {404, 410}
_DENIED = {401, 403}

_draw = random.SystemRandom()
_not_before: dict[str, float] = {}
_lock = Lock()
_mine = local()


@dataclass(frozen=True)
class Answer:
    """What a server says of a file that could not be read.

    Args:
        state: `gone` (404, 410) · `denied` (401, 403) · `busy` (another error, or no answer) ·
            `there` (it serves the file).
        status: HTTP status, 0 without an answer.
        wait_s: how long it asks to be left alone.
    """

    state: Literal["gone", "denied", "busy", "there"]
    status: int
    wait_s: float = 0.0


def ask(address: str) -> Answer:
    """Ask for a byte of the header and one of the middle of a file."""
    answer, size = _ask_for(address, 0)
    return _ask_for(address, size // 2)[0] if answer.state == "there" and size > 1 else answer


def hold(address: str, seconds: float) -> None:
    """Let nobody of this process read from the address's host for a while."""
    host, until = urlparse(address).netloc, time.monotonic() + seconds
    with _lock:
        _not_before[host] = max(until, _not_before.get(host, 0.0))


def pause_s(address: str, attempt: int) -> float:
    """How long to wait before an attempt (the first is 0): what the host asked for, then full jitter."""
    with _lock:
        held = _not_before.get(urlparse(address).netloc, 0.0) - time.monotonic()
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)
    return max(held, 0.0) + (_draw.uniform(0, longest) if attempt else 0.0)


def within[T](seconds: float, work: Callable[[], T]) -> T:
    """Run something on the caller's second thread, and give up on it when the time is over.

    A thread that was given up on ends by the timeouts of its own requests; nobody uses what it makes,
    and the caller gets another one.

    Raises:
        DeadlinePassed: it did not end in time.
    """
    second: _Second = _mine.__dict__.pop("second", None) or _Second()
    future: Future[T] = Future()
    second.put((future, work))
    ended, _ = wait((future,), seconds)
    if not ended:
        second.put(None)
        raise DeadlinePassed(
            f"not read within {seconds:g} s; give it more with --deadline, or run the same command again"
        )
    _mine.second = second
    return future.result()


class _Second:
    """A thread that works for another one, and ends with it."""

    def __init__(self) -> None:
        self._todo: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self.put = self._todo.put
        Thread(target=_work, args=(self._todo,), daemon=True).start()

    def __del__(self) -> None:
        self._todo.put(None)


def _work(todo: "SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]") -> None:
    while (order := todo.get()) is not None:
        future, work = order
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
        del order, future, work


def _ask_for(address: str, byte: int) -> tuple[Answer, int]:
    """The answer to a request for one byte, and the file's size where it tells."""
    try:
        with requests.get(
            address, headers={"Range": f"bytes={byte}-{byte}"}, timeout=ASK_TIMEOUT_S, stream=True
        ) as response:
            status, headers = response.status_code, response.headers
    except requests.RequestException:
        return Answer("busy", 0), 0
    if status in _GONE:
        return Answer("gone", status), 0
    if status in _DENIED:
        return Answer("denied", status), 0
    if status >= 400:
        return Answer("busy", status, _seconds(headers.get("Retry-After", ""))), 0
    size = headers.get("Content-Range", "").rpartition("/")[2]
    return Answer("there", status), int(size) if size.isdigit() else 0


def _seconds(retry_after: str) -> float:
    """`Retry-After` in seconds: it is a number of them, or a date."""
    try:
        return max(Retry().parse_retry_after(retry_after), 0.0)
    except InvalidHeader:
        return 0.0
