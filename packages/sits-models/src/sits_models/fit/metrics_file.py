"""`metrics.csv`: one row a logged step, readable while the run goes on, and by a run that is resumed."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import Logger

from sits_models.runs import METRICS


class MetricsFile(Logger):
    """Writes each row when it comes.

    Lightning's own CSV logger deletes what an earlier start of the same run has written.

    Args:
        folder: of the run.
        keep: rows of earlier steps stay, others are dropped: a resumed run repeats them.
    """

    def __init__(self, folder: Path, *, keep: int = 0) -> None:
        super().__init__()
        self.file = folder / METRICS
        self._columns = ["epoch", "step"]
        self._keep = keep
        self._opened = False

    @property
    def name(self) -> str:
        """None is needed: there is one file."""
        return ""

    @property
    def version(self) -> str:
        """None is needed: there is one file."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder, which Lightning takes for its own files too."""
        return str(self.file.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: `config.yaml` has all settings."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row."""
        if not self._opened:
            self._write(self._kept())
            self._opened = True
        row = {"step": step, **metrics}
        if "epoch" in row:
            row["epoch"] = int(row["epoch"] or 0)
        if new := [name for name in row if name not in self._columns]:
            rows = read_rows(self.file)
            self._columns += new
            self._write(rows)
        with self.file.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _kept(self) -> list[dict[str, str]]:
        if not self._keep:
            return []
        rows = [row for row in read_rows(self.file) if int(row["step"]) < self._keep]
        self._columns += [name for name in (rows or [{}])[0] if name not in self._columns]
        return rows

    def _write(self, rows: list[dict[str, str]]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_name(f"{self.file.name}.partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.file)


def read_rows(file: Path) -> list[dict[str, str]]:
    """The whole rows of a `metrics.csv`, as text; a last one that was cut off by a kill is left out."""
    if not file.is_file():
        return []
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [row for row in rows if (row["step"] or "").isdecimal() and None not in row.values()]
