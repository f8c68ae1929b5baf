"""Asking the web politely: deadlines, bounded retries, and no more a second than a host allows."""

import os
import time
from collections import deque
from threading import Lock
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, Retry

TIMEOUT_S = (10, 60)
"""Seconds to connect and to answer."""

LONGEST_WAIT_S = 60.0
"""The most that a server's `Retry-After` is obeyed for; a longer one ends in an error sooner."""

BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers that the same request may not get again."""


class Pace:
    """Lets so many callers pass in any second; the others wait their turn. Safe in threads."""

    def __init__(self, per_second: int) -> None:
        self._passed: deque[float] = deque(maxlen=per_second)
        self._lock = Lock()

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            if len(self._passed) == self._passed.maxlen:
                time.sleep(max(0.0, self._passed[0] + 1 - time.monotonic()))
            self._passed.append(time.monotonic())


_PACES: dict[tuple[int, str, int], Pace] = {}
"""One pace a process and host, however many catalogues are opened there."""


def pace_of(host: str, per_second: int) -> Pace:
    """The pace that all requests of this process to a host share."""
    return _PACES.setdefault((os.getpid(), host, per_second), Pace(per_second))


class PoliteRetry(Retry):
    """Retries of busy servers and broken connections; they obey `Retry-After` and take their turn.

    Args:
        pace: that every further try waits for.
        **settings: of `urllib3.Retry`.
    """

    def __init__(self, *, pace: Pace | None = None, **settings: Any) -> None:
        plain: dict[str, Any] = {
            "total": 5,
            "connect": 2,
            "backoff_factor": 0.5,
            "backoff_jitter": 0.25,
            "status_forcelist": BUSY,
            "allowed_methods": None,
        }
        super().__init__(**(plain | settings))
        self.pace = pace

    def new(self, **settings: Any) -> Self:
        """A copy with other counts; urllib3 makes one a try."""
        return super().new(pace=self.pace, **settings)

    def parse_retry_after(self, retry_after: str) -> float:
        """Seconds to wait, from seconds or a date."""
        return min(super().parse_retry_after(retry_after), LONGEST_WAIT_S)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait as long as the server says, else a little longer after each try."""
        super().sleep(response)
        if self.pace is not None:
            self.pace.wait()


class _PacedAdapter(HTTPAdapter):
    """Takes its turn before each request, those that a redirect leads to as well."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(max_retries=PoliteRetry(pace=pace))
        self.pace = pace

    def send(self, *args: Any, **settings: Any) -> requests.Response:
        """See `HTTPAdapter.send`."""
        self.pace.wait()
        return super().send(*args, **settings)


def polite_session(pace: Pace | None = None) -> requests.Session:
    """A session with `PoliteRetry`, in turn where a pace is given.

    Deadlines are the caller's: `timeout=TIMEOUT_S`.
    """
    session = requests.Session()
    for scheme in ("http://", "https://"):
        plain = HTTPAdapter(max_retries=PoliteRetry())
        session.mount(scheme, plain if pace is None else _PacedAdapter(pace))
    return session
