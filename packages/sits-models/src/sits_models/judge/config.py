"""What is judged on what: the settings of `sits-models bench`, one YAML file."""

import re
from pathlib import Path
from typing import Literal, Self

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sits_models.bench.design import Design, SplitName
from sits_models.data.items import Unit
from sits_models.errors import InvalidConfig
from sits_models.recipes import RECIPES

Reader = Literal["kNN", "linear", "fine-tuned"]

PERIODS = "model.periods"
"""The flag of `finetune` by which models are told to compare periods."""

_BUDGET = re.compile(r"(?P<all>all)|(?P<shots>[1-9]\d*) shots?|(?P<percent>\d+(\.\d+)?) ?%")


class Strict(BaseModel):
    """Frozen, and without what is not asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(Strict):
    """A model that is judged.

    Args:
        name: of its rows.
        checkpoint: run folder with a pretrained backbone; its random twin is judged beside it.
        backbone: name of a registered one, trained from random weights.
        recipe: of `finetune`.
        readers: what reads the classes; without a checkpoint "fine-tuned" alone makes sense.
        settings: flags of `finetune`, such as `data.length: 64`.
    """

    name: str = Field(pattern=r"^[\w .+-]+$")
    checkpoint: str | None = None
    backbone: str | None = None
    recipe: str | None = None
    readers: tuple[Reader, ...] = ()
    settings: dict[str, object] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.checkpoint is None) == (self.backbone is None and self.recipe is None):
            raise ValueError(f"{self.name} needs either a checkpoint, or a backbone or recipe")
        if self.recipe is not None and self.recipe not in RECIPES:
            raise ValueError(f"no recipe is called {self.recipe}; there are {', '.join(RECIPES)}")
        if self.checkpoint is None and set(self.readers) - {"fine-tuned"}:
            raise ValueError(f"{self.name} was trained by nobody yet: its only reader is fine-tuned")
        return self

    @property
    def read_by(self) -> tuple[Reader, ...]:
        """The readers asked for, or all that make sense."""
        usual: tuple[Reader, ...] = (
            ("kNN", "linear", "fine-tuned") if self.checkpoint else ("fine-tuned",)
        )
        return self.readers or usual


class BenchConfig(Strict):
    """A table: entries × readers × budgets on some stores, each from several seeds.

    Args:
        stores: labelled planar stores, each judged by itself.
        entries: what is judged.
        budgets: "all", "5 shots" of each class, "10 %" of the labels of each class.
        seeds: of trainings and of splits, 0 … seeds-1.
        unit, split, folds, block_m, gap_m: see `Design`.
        targets: columns of the regions, each a target; without any the stores' labels are.
        settings: flags of `finetune` for all entries.
        draws: of the bootstrap.
        level: of the intervals.
    """

    stores: tuple[str, ...] = Field(min_length=1)
    entries: tuple[Entry, ...] = Field(min_length=1)
    budgets: tuple[str, ...] = ("all",)
    seeds: int = Field(5, ge=1)
    unit: Unit | None = None
    split: SplitName | None = None
    folds: int | None = None
    block_m: int | None = None
    gap_m: float | None = None
    targets: tuple[str, ...] = ()
    settings: dict[str, object] = {}
    draws: int = Field(1000, ge=100)
    level: float = Field(0.95, gt=0, lt=1)

    @field_validator("budgets")
    @classmethod
    def _known(cls, budgets: tuple[str, ...]) -> tuple[str, ...]:
        for budget in budgets:
            if not _BUDGET.fullmatch(budget):
                raise ValueError(f"a budget is all, 5 shots or 10 %, got {budget}")
        return budgets

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [entry.name for entry in self.entries]
        if len(set(names)) < len(names):
            raise ValueError(f"entries must have names of their own, got {', '.join(names)}")
        return self

    @property
    def compares_periods(self) -> bool:
        """Whether any entry names what changed."""
        return any(PERIODS in {**self.settings, **entry.settings} for entry in self.entries)

    def design(self, budget: str, seed: int) -> Design:
        """How a store is cut under a budget and a seed."""
        found = _BUDGET.fullmatch(budget)
        assert found is not None
        return Design(
            unit=self.unit, split=self.split, folds=self.folds, block_m=self.block_m, gap_m=self.gap_m,
            fraction=float(found["percent"]) / 100 if found["percent"] else None,
            shots=int(found["shots"]) if found["shots"] else None, seed=seed,
        )  # fmt: skip


def read_config(file: Path) -> BenchConfig:
    """Read a file; paths in it count from where it lies.

    Raises:
        InvalidConfig: it cannot be read, or a setting is wrong: which one, and why.
    """
    try:
        asked = BenchConfig.model_validate(yaml.safe_load(file.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InvalidConfig(f"a bench is described by a YAML file, {file} is none: {reason}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidConfig(f"{file}: {where}: {first['msg'].removeprefix('Value error, ')}") from error

    def placed(path: str) -> str:
        return str((file.parent / path).resolve())

    entries = tuple(
        one if one.checkpoint is None else one.model_copy(update={"checkpoint": placed(one.checkpoint)})
        for one in asked.entries
    )
    return asked.model_copy(update={"stores": tuple(map(placed, asked.stores)), "entries": entries})
