"""What is done about units that cannot be read: try them once more at the end, skip them, or stop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Never

from tqdm import tqdm

from sits_data.engine import Workers
from sits_data.errors import UnreadableSource
from sits_data.fill import Task
from sits_data.ledger import Ledger, Row

OnError = Literal["retry", "skip", "raise"]
"""Go on with the rest, try them once more at the end, then stop · mark them in `qa` and finish · stop at
the first."""

GIVE_UP_AFTER = 20
"""Tasks in a row that cannot be read: then it is the catalogue, the network or the disk."""


@dataclass
class _Failures:
    """What could not be read in one pass over the tasks.

    Args:
        tasks: a task a unit, to try again.
        first: why the first could not.
        in_a_row: tasks that failed since the last that did not.
    """

    tasks: list[Task] = field(default_factory=list)
    first: str = ""
    in_a_row: int = 0


def run_tasks(
    workers: Workers,
    work: Callable[[Task], list[Row]],
    tasks: Sequence[Task],
    ledger: Ledger,
    on_error: OnError,
    bar: "tqdm[Never]",
) -> None:
    """Run all tasks and note in the ledger what became of their units.

    Args:
        workers: who works.
        work: does a task.
        tasks: to do.
        ledger: of the cube.
        on_error: see `OnError`.
        bar: counts units.

    Raises:
        UnreadableSource: some units could not be read, and are not to be skipped.
    """
    for last in (on_error != "retry", True):
        failures = _Failures()
        for task, rows in workers.run(work, tasks):
            for row in rows:
                ledger.record(row)
                bar.update(row.state != "failed" or on_error == "skip")
            _note(failures, task, rows)
            given_up = on_error == "retry" and failures.in_a_row >= GIVE_UP_AFTER
            if failures.tasks and (on_error == "raise" or given_up):
                break
        if on_error == "skip" or not failures.tasks:
            return
        if last or failures.in_a_row >= GIVE_UP_AFTER:
            raise UnreadableSource(_stopped(failures, ledger, on_error))
        tasks = failures.tasks


def _note(failures: _Failures, task: Task, rows: list[Row]) -> None:
    failed = [row for row in rows if row.state == "failed"]
    failures.tasks += [task.of((row.unit,)) for row in failed]
    failures.first = failures.first or (failed[0].why if failed else "")
    failures.in_a_row = failures.in_a_row + 1 if len(failed) == len(rows) else 0


def _stopped(failures: _Failures, ledger: Ledger, on_error: OnError) -> str:
    if on_error == "raise":
        return failures.first
    count = len(failures.tasks)
    what = "1 unit" if count == 1 else f"{count} units"
    return (
        f"{what} could not be read, {len(ledger.done)} are done; the first: {failures.first}; "
        "--on-error skip finishes the cube without them"
    )
