"""Settings of a training run: every argument of model, data and trainer, from files and flags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from sits_data.errors import SitsDataError
from sits_data.output import write_atomically, writing_to
from sits_models.data.datamodule import PlanarDataModule
from sits_models.errors import InvalidConfig
from sits_models.ranges import SEED, check_ranges

EPOCHS = 50
"""Of a run for which neither epochs, nor steps, nor a time was asked for."""

_TRAINER: Mapping[str, object] = {"log_every_n_steps": 1, "enable_model_summary": False}


class Parts(NamedTuple):
    """What a configuration makes.

    Args:
        model: with fresh weights.
        data: not set up.
        trainer: arguments of `lightning.Trainer`, its callbacks and loggers made.
    """

    model: LightningModule
    data: PlanarDataModule
    trainer: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Config:
    """Parsed settings; `parser` knows their types, `values` has `seed`, `model`, `data`, `trainer`."""

    parser: LightningArgumentParser
    values: Namespace

    def __getitem__(self, key: str) -> Any:
        """A setting by its flag: `config["data.batch_size"]`."""
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        """A setting by its flag, or the default where there is no such setting."""
        return self.values.get(key, default)

    def replace(self, changes: Mapping[str, object]) -> "Config":
        """The same settings but for some: `{"data.fold": 2, "model.init_args.freeze": True}`.

        Raises:
            InvalidConfig: a value is not what the setting takes.
        """
        values = self.values.clone()
        for key, value in changes.items():
            values[key] = value
        with _one_line():
            self.parser.validate(values)
        return Config(self.parser, values)

    def instantiate(self, **changes: object) -> Parts:
        """Seed everything, then make model, data and trainer arguments, fresh at each call.

        Args:
            changes: as `replace`, dots written as `__`: `data__fold=2`.
        """
        from lightning.pytorch import seed_everything

        config = self.replace({key.replace("__", "."): value for key, value in changes.items()})
        seed_everything(config["seed"], verbose=False)
        with _one_line():
            made = self.parser.instantiate(config.values)
        return Parts(made.model, made.data, dict(made.trainer))

    def save(self, file: Path) -> None:
        """Write all settings as YAML that `--config` reads again."""
        text = self.parser.dump(self.values, skip_unset=False)  # a null may be somebody's choice
        with writing_to(file):
            write_atomically(file, text.encode())


def parse(
    arguments: Sequence[str],
    *,
    model: type[LightningModule] = LightningModule,
    default: type[LightningModule] | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Config:
    """Read flags and `--config` files; later ones win.

    `--print_config` prints all settings and ends the process, as `--help` does.

    Args:
        arguments: words of a command line, such as `--data.batch_size=64`.
        model: what `--model CLASS` must be a subclass of.
        default: the class when none is given.
        defaults: of single settings, by flag; those of the model need `default`.

    Raises:
        InvalidConfig: a setting is unknown or of the wrong type, or a file cannot be read.
        InvalidRequest: the seed is out of its range.
    """
    parser = LightningArgumentParser(prog="sits-models", exit_on_error=False)
    parser.add_argument("--config", action="config", help="YAML file of settings.")
    parser.add_argument("--seed", type=int, default=0, help="Of weights, order, views and splits.")
    parser.add_lightning_class_args(model, "model", subclass_mode=True)
    parser.add_lightning_class_args(PlanarDataModule, "data")
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.link_arguments("seed", "data.seed")
    of_model = {
        key.removeprefix("model."): value
        for key, value in (defaults or {}).items()
        if key.startswith("model.")
    }
    if default is not None:
        path = f"{default.__module__}.{default.__qualname__}"
        parser.set_defaults({"model": {"class_path": path, "init_args": of_model}})
    parser.set_defaults({f"trainer.{key}": value for key, value in _TRAINER.items()})
    others = {key: value for key, value in (defaults or {}).items() if not key.startswith("model.")}
    parser.set_defaults(others)
    with _one_line():
        values = parser.parse_args(list(arguments))
    check_ranges({"seed": values.seed}, {"seed": SEED})
    trainer = values.trainer
    if trainer.max_epochs is None and trainer.max_steps == -1 and trainer.max_time is None:
        trainer.max_epochs = EPOCHS
    return Config(parser, values)


class _one_line:  # noqa: N801
    """Turns what the parser complains about into one line of ours, and ours into what they were."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, ValueError) and isinstance(error.__cause__, SitsDataError):
            raise error.__cause__ from None
        if isinstance(error, ArgumentError | UnicodeDecodeError):
            raise InvalidConfig(
                f"{' '.join(str(error).split())}; --print_config shows all settings"
            ) from error
