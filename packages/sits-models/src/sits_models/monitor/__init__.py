"""Watching a run while it learns: spread and rank of embeddings, kNN, the alarm, what it saw."""

from sits_models.monitor.collapse import CollapseAlarm
from sits_models.monitor.recorder import Recorder
from sits_models.monitor.watch import Monitor

__all__ = ["CollapseAlarm", "Monitor", "Recorder"]
