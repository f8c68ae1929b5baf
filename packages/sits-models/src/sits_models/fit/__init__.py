"""Training runs: settings from files and flags, watched, logged, kept, exported."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sits_models.fit.cards import card_of as card_of
    from sits_models.fit.config import Config as Config
    from sits_models.fit.config import parse as parse
    from sits_models.fit.export import Export as Export
    from sits_models.fit.keep import KeepLast as KeepLast
    from sits_models.fit.metrics_file import MetricsFile as MetricsFile
    from sits_models.fit.pretraining import pretrain as pretrain
    from sits_models.fit.run import make_trainer as make_trainer
    from sits_models.fit.run import train as train

_EXPORTS = {
    "Config": "config",
    "Export": "export",
    "KeepLast": "keep",
    "MetricsFile": "metrics_file",
    "card_of": "cards",
    "make_trainer": "run",
    "parse": "config",
    "pretrain": "pretraining",
    "train": "run",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch and Lightning take seconds to import."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'sits_models.fit' has no attribute {name!r}")
    return getattr(import_module(f"sits_models.fit.{_EXPORTS[name]}"), name)
