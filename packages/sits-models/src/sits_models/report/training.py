"""The curves of runs, panel by panel, and whether their embeddings collapsed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from sits_models.report.curves import PANELS, draw_curve
from sits_models.report.files import Series
from sits_models.report.folder import RunFolder


@dataclass(frozen=True)
class Curve:
    """One panel of the training curves; `last` is its value at the end, in words."""

    title: str
    meaning: str
    last: str
    svg: Markup


@dataclass(frozen=True)
class Training:
    """The curves of one run, or of its folds; `alarm` says that and when embeddings collapsed."""

    name: str
    about: str
    curves: tuple[Curve, ...]
    alarm: str = ""


def trainings(folders: Iterable[RunFolder]) -> Iterator[Training]:
    """The curves that runs logged; the folds of a run are drawn together, by what they began with."""
    for number, folder in enumerate(folders):
        groups: dict[str, list[Mapping[str, Series]]] = {}
        for place, log in folder.metrics.items():
            start = re.sub(r"-\d+$", "", place.rpartition("/")[2]).replace("-", " ")
            groups.setdefault(start, []).append(log)
        for start, logs in groups.items():
            about = (
                f"its {len(logs)} folds, {start}"
                if start
                else "on all labels"
                if groups.keys() - {""}
                else ""
            )
            curves = tuple(_curves(logs, key=f"{number} {start}"))
            if curves:
                yield Training(folder.name, about, curves, _alarm(logs))


def _curves(logs: Sequence[Mapping[str, Series]], *, key: str) -> Iterator[Curve]:
    for panel in PANELS:
        if not any(name in log for log in logs for name in panel.names):
            continue
        ends = [log[panel.names[0]].value[-1] for log in logs if panel.names[0] in log]
        mean = "mean " if len(ends) > 1 else ""
        last = f"{mean}{np.mean(ends):.3g} at the end" if ends else ""
        yield Curve(panel.title, panel.meaning, last, draw_curve(panel, logs, key=key))


def _alarm(logs: Sequence[Mapping[str, Series]]) -> str:
    alarms = [log["collapsed"] for log in logs if "collapsed" in log]
    steps = [int(one.step[one.value > 0][0]) for one in alarms if (one.value > 0).any()]
    if not steps:
        return ""
    return (
        f"The collapse alarm went off at step {min(steps)}: all regions came to look the same to the "
        "network, so its embeddings are of little use."
    )
