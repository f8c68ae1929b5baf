"""Naming what changed between periods, of a region or of each of its pixels."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from sits_data.errors import InvalidRequest
from sits_models.backbones.siamese import Siamese, first_days
from sits_models.checkpoint import read_card
from sits_models.registry import Made
from sits_models.tasks.classification import RegionClassification


def check_targets(targets: Sequence[str], periods: Sequence[str], *, each: bool) -> None:
    """See that there is a target for each period but the first, where each is compared.

    Raises:
        InvalidRequest: there are more or fewer.
    """
    wanted, got = (len(periods) if each else 0), ", ".join(targets) or "none"
    if len(targets) == wanted:
        return
    if each:
        raise InvalidRequest(
            "each period is compared with the one before: name a column of classes for each of "
            f"{', '.join(periods)} with --data.targets, got {got}"
        )
    raise InvalidRequest(
        "several targets need a model that compares each period with the one before, got targets "
        f"{got}; give --model sits_models.tasks.ChangeDetection --model.each true"
    )


class ChangeDetection(RegionClassification):
    """A backbone that sees each period by itself, and one linear layer on how its features differ.

    Classes are those of the store: changed or not, or what became what. A region has one target, the
    last period against the first, or one for `each` period against the one before: columns that
    `data.targets` names, or a loader's own `label` (B, P - 1).

    Args:
        periods: ISO dates on which a new period begins, ascending.
        each: a target for each pair of periods that follow each other.
        **settings: those of `RegionClassification`.

    Raises:
        InvalidRequest: a setting is out of its range.
    """

    def __init__(self, periods: list[str], each: bool = False, **settings: Any) -> None:
        first_days(periods)
        super().__init__(**settings)

    def on_fit_start(self) -> None:
        """See that there is a period for each target.

        Raises:
            InvalidRequest: there is not.
        """
        targets = getattr(getattr(self.trainer, "datamodule", None), "targets", None)
        if targets is not None:
            check_targets(targets, self.hparams["periods"], each=self.hparams["each"])
        super().on_fit_start()

    def start_from(self, backbone: nn.Module) -> None:
        """Take a backbone for one period, or one that compares periods already."""
        if not isinstance(backbone, Siamese):
            one, made = backbone, self._one()
            backbone = Siamese(
                int(one.in_channels),  # type: ignore[arg-type]
                of=made.name, of_args=made.arguments, periods=self.hparams["periods"],
                each=self.hparams["each"],
            )  # fmt: skip
            backbone.one = one
        super().start_from(backbone)

    @property
    def made(self) -> Made:
        """How the backbone is made, for its card."""
        one = self._one()
        compared = {name: self.hparams[name] for name in ("periods", "each")}
        return Made("siamese", {"of": one.name, "of_args": one.arguments, **compared})

    def _one(self) -> Made:
        """What compares: the backbone of one period."""
        if self.hparams["checkpoint"] is None:
            return Made(self.hparams["backbone"], dict(self.hparams["backbone_args"] or {}))
        card = read_card(self.hparams["checkpoint"])
        arguments = {
            name: value for name, value in card.backbone_arguments.items() if name != "in_channels"
        }
        if card.backbone == "siamese":
            return Made(str(arguments["of"]), dict(arguments["of_args"] or {}))  # type: ignore[arg-type]
        return Made(card.backbone, arguments)
