"""Sides that plan a large cube and hand out its work, which is not done."""

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.inputs import Settings, grid_of, items_of, names_of, request_of
from benchmarks.outcome import Clock, fresh, report

if TYPE_CHECKING:
    from sits_data.fill import Task


def ours_submit(settings: Settings) -> None:
    """Catalogue, plan, empty cube, ledger, every task to a thread."""
    _submit(settings, scheduler=None)


def ours_submit_cluster(settings: Settings) -> None:
    """The same to a Dask cluster of as many processes, which runs already."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=settings["threads"], threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        _submit(settings, scheduler=cluster.scheduler_address)


def odc_graph(settings: Settings) -> None:
    """odc-stac: catalogue and graph, in chunks of a unit's size; its tasks are counted."""
    import odc.stac

    geobox = grid_of(settings).geobox
    clock = Clock()
    dataset = odc.stac.load(
        items_of(settings), bands=names_of(settings), geobox=geobox, groupby="solar_day",
        chunks={"time": 1, "y": 512, "x": 512},
    )  # fmt: skip
    tasks = sum(len(dataset[name].__dask_graph__()) for name in dataset.data_vars)
    report(clock.spent(), tasks)


def _submit(settings: Settings, *, scheduler: str | None) -> None:
    from sits_data.build import BuildOptions, open_state, pending
    from sits_data.cube import create_cube
    from sits_data.ledger import state_folder
    from sits_data.planning import plan_cube

    out, request = fresh(settings), request_of(settings)
    options = BuildOptions(threads=settings["threads"], scheduler=scheduler)
    clock = Clock()
    with open_state(out):
        plan = plan_cube(request)
        plan.write(state_folder(out) / "plan.json")
        create_cube(out, plan)
        work = partial(_leave, how=options.how(request))
        with options.workers(plan) as workers:
            units = sum(count for _, count in workers.run(work, pending(plan, set(), lambda _: True)))
    report(clock.spent(), units)


def _leave(task: "Task", *, how: object) -> int:  # noqa: ARG001  (it travels to the worker all the same)
    return len(task.units)
