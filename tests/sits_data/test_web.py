import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests
from urllib3 import Retry

from sits_data.web import LONGEST_WAIT_S, Pace, PoliteRetry, pace_of, polite_session


@contextmanager
def answering(*answers: tuple[int, str | None]) -> Iterator[tuple[str, list[float]]]:
    """A server that gives these statuses with this Retry-After in turn, the last one for ever."""
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(time.monotonic())
            status, after = answers[min(len(asked), len(answers)) - 1]
            self.send_response(status)
            if after is not None:
                self.send_header("Retry-After", after)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_busy_server_is_asked_again(status: int) -> None:
    with answering((status, None), (200, None)) as (url, asked), polite_session() as session:
        assert session.post(url, timeout=5).status_code == 200
    assert len(asked) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusal_is_final(status: int) -> None:
    with answering((status, None)) as (url, asked), polite_session() as session:
        assert session.post(url, timeout=5).status_code == status
    assert len(asked) == 1


def test_retry_after_in_seconds() -> None:
    with answering((429, "1"), (200, None)) as (url, asked), polite_session() as session:
        assert session.post(url, timeout=5).status_code == 200
    assert asked[1] - asked[0] >= 1


def test_retry_after_as_a_date() -> None:
    later = f"{datetime.now(UTC) + timedelta(seconds=3):%a, %d %b %Y %H:%M:%S GMT}"
    with answering((503, later), (200, None)) as (url, asked), polite_session() as session:
        assert session.post(url, timeout=5).status_code == 200
    assert asked[1] - asked[0] >= 1.5


def test_retry_after_is_obeyed_for_so_long_only() -> None:
    assert PoliteRetry().parse_retry_after("3600") == LONGEST_WAIT_S
    far = f"{datetime.now(UTC) + timedelta(days=3):%a, %d %b %Y %H:%M:%S GMT}"
    assert PoliteRetry().parse_retry_after(far) == LONGEST_WAIT_S


def test_retries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retry, "sleep", lambda *_: None)
    with (
        answering((503, None)) as (url, asked),
        polite_session() as session,
        pytest.raises(requests.RequestException, match="too many 503"),
    ):
        session.post(url, timeout=5)
    assert len(asked) == 6


def test_pace_lets_so_many_pass_in_any_second() -> None:
    pace, passed = Pace(20), list[float]()

    def walk() -> None:
        for _ in range(10):
            pace.wait()
            passed.append(time.monotonic())

    threads = [Thread(target=walk) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed.sort()
    assert len(passed) == 50
    # `passed` is read a moment after the turn was given.
    assert all(later - first > 0.95 for first, later in zip(passed, passed[20:], strict=False))
    assert passed[-1] - passed[0] < 5


def test_retries_take_their_turn() -> None:
    pace = Pace(2)
    with (
        answering((503, None), (503, None), (200, None)) as (url, asked),
        polite_session(pace) as session,
    ):
        assert session.post(url, timeout=5).status_code == 200
    assert asked[2] - asked[0] >= 0.95


def test_pace_is_shared_by_host() -> None:
    assert pace_of("a.example", 5) is pace_of("a.example", 5)
    assert pace_of("a.example", 5) is not pace_of("b.example", 5)
