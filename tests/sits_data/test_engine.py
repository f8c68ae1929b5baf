"""Threads and clusters: the same bytes out, few tasks in flight, and what dies is done again."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_catalogue import daily, request, write_catalogue

from sits_data.build import BuildOptions, build_cube
from sits_data.engine import AHEAD, on_cluster, on_threads
from sits_data.errors import SchedulerError


def files(cube: Path) -> dict[str, bytes]:
    return {str(p.relative_to(cube)): p.read_bytes() for p in cube.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Dask cluster of two processes on 127.0.0.1."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
        dashboard_address="127.0.0.1:0", memory_limit=0,
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


def test_few_tasks_are_in_flight() -> None:
    taken, seen, gate = [], [], threading.Event()

    def tasks() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    with on_threads(3) as workers:
        for number, result in workers.run(lambda n: (gate.wait(0.001), n)[1], tasks()):
            assert number == result
            seen.append(number)
            assert len(taken) - len(seen) <= AHEAD * 3
    assert sorted(seen) == list(range(50))


def test_failure_stops_what_has_not_begun() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="2"), on_threads(1) as workers:
        list(workers.run(work, range(100)))
    assert len(begun) <= 2 + AHEAD + 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_cluster_writes_the_same_bytes(cluster: str, tmp_path: Path) -> None:
    catalog = write_catalogue(tmp_path / "catalogue", daily(6))
    here = build_cube(request(catalog), tmp_path / "here.zarr")
    there = build_cube(
        request(catalog), tmp_path / "there.zarr", options=BuildOptions(scheduler=cluster)
    )
    assert there.units == here.units == 6
    assert files(there.path) == files(here.path)


def _die_once(marker: str) -> int:
    """Kills the worker that runs it first; what runs it again returns."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_task_of_a_killed_worker_is_done_by_another(cluster: str, tmp_path: Path) -> None:
    with on_cluster(cluster) as workers:
        ((_, pid),) = workers.run(_die_once, [str(tmp_path / "died")])
    assert pid != os.getpid()


def _die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_cluster_whose_workers_keep_dying(cluster: str) -> None:
    with pytest.raises(SchedulerError, match="lost its workers"), on_cluster(cluster) as workers:
        list(workers.run(_die, [0]))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_cluster_that_does_not_answer(tmp_path: Path) -> None:
    catalog = write_catalogue(tmp_path / "catalogue", daily(1))
    began = time.monotonic()
    with pytest.raises(SchedulerError, match="no Dask scheduler answers"):
        build_cube(
            request(catalog), tmp_path / "c.zarr", options=BuildOptions(scheduler="tcp://127.0.0.1:9")
        )
    assert time.monotonic() - began < 30
