"""Runs many tasks with few in flight: on threads of this machine, or on a Dask cluster."""

import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from sits_data.errors import InvalidRequest, SchedulerError

CONNECT_S = 10

AHEAD = 2
"""Tasks in flight for each thread: one at work, one waiting."""


@dataclass(frozen=True)
class Workers:
    """Who works.

    Args:
        executor: of `concurrent.futures`, or one that looks like it.
        threads: how many tasks run at once.
    """

    executor: Executor
    threads: int

    def run[T, R](self, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Tasks with what became of them, in the order in which they end.

        Tasks are taken from the iterable as places get free, so that it may be long, and may grow.
        When the caller stops, what has not begun never does.
        """
        todo, flying = iter(tasks), dict[Future[R], T]()
        try:
            while True:
                while len(flying) < AHEAD * self.threads and (task := next(todo, None)) is not None:
                    flying[self.executor.submit(work, task)] = task
                if not flying:
                    return
                ended, _ = wait(flying, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield flying.pop(future), future.result()
        finally:
            for future in flying:
                future.cancel()


@contextmanager
def on_threads(threads: int) -> Iterator[Workers]:
    """Threads of this process; those at work end before the block does."""
    with ThreadPoolExecutor(threads) as pool:
        yield Workers(pool, threads)


@contextmanager
def on_cluster(scheduler: str) -> Iterator[Workers]:
    """The workers of a Dask cluster, which must see the same disk.

    Args:
        scheduler: its address, such as `tcp://10.0.0.1:8786`.

    Raises:
        InvalidRequest: Dask's distributed is not installed, or `scheduler` is no address.
        SchedulerError: nobody answers, the cluster has no worker, or its workers keep dying.
    """
    try:
        from distributed import Client
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise InvalidRequest(
            "a cluster needs Dask's distributed; use pip install 'sits-data[dask]', or leave out "
            "--scheduler"
        ) from error
    _check_address(scheduler)
    try:
        client: Any = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise SchedulerError(
            f"no Dask scheduler answers at {scheduler} ({error}); start one with dask scheduler"
        ) from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise SchedulerError(
                f"the cluster at {scheduler} has no worker; start some with dask worker {scheduler}"
            )
        try:
            yield Workers(client.get_executor(pure=False), threads)
        except (KilledWorker, CommClosedError, CancelledError) as error:
            raise SchedulerError(
                f"the cluster at {scheduler} lost its workers ({type(error).__name__}); give them more "
                "memory or fewer threads, and start the same command again"
            ) from error


def _check_address(scheduler: str) -> None:
    """Knock at a scheduler's door: Dask's client waits long for one that is not there."""
    url = urlparse(scheduler)
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if url.scheme not in {"tcp", "tls"} or not host or not port:
        raise InvalidRequest(f"a scheduler's address is like tcp://HOST:8786, got {scheduler!r}")
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        raise SchedulerError(
            f"no Dask scheduler answers at {scheduler} ({error}); start one with dask scheduler"
        ) from error
