"""SimCLR and DINO: their losses, their networks, their schedules, and that they learn."""

import math
from pathlib import Path

import lightning
import pytest
import torch
from torch import Tensor, nn

from sits_data.errors import InvalidRequest
from sits_models.data import PlanarDataModule
from sits_models.methods import DINO, SimCLR
from sits_models.methods.base import Method
from sits_models.views.planar import draw

SMALL = {"in_channels": 4, "length": 8, "dates": 4}


def _fit(method: Method, store: Path, *, batch_size: int = 16, **trainer: object) -> lightning.Trainer:
    lightning.seed_everything(0)
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False} | trainer
    runner = lightning.Trainer(
        **settings, enable_progress_bar=False, enable_model_summary=False, barebones=False
    )
    runner.fit(method, datamodule=PlanarDataModule(str(store), batch_size=batch_size))
    return runner


def _nt_xent(first: Tensor, second: Tensor, temperature: float) -> float:
    """Equation 1 of the paper, pair by pair."""
    z = nn.functional.normalize(torch.cat([first, second]).double(), dim=1)
    total, size = 0.0, len(first)
    for one in range(2 * size):
        pair = (one + size) % (2 * size)
        terms = [math.exp(float(z[one] @ z[k]) / temperature) for k in range(2 * size) if k != one]
        total -= float(z[one] @ z[pair]) / temperature - math.log(sum(terms))
    return total / (2 * size)


def test_simclr_loss_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(5, 8), torch.randn(5, 8)
    method = SimCLR(in_channels=4, temperature=0.3)
    assert float(method.criterion(first, second)) == pytest.approx(
        _nt_xent(first, second, 0.3), abs=1e-5
    )


def test_dino_loss_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    method = DINO(in_channels=4, out_dim=6, teacher_temperature=0.04)
    center = torch.randn(1, 1, 6)
    method.criterion.center = center.clone()
    taught, said = [torch.randn(3, 6) for _ in range(2)], [torch.randn(3, 6) for _ in range(4)]
    terms = [
        -((((t - center[0]) / 0.04).double().softmax(-1)) * (s / 0.1).double().log_softmax(-1))
        .sum(-1)
        .mean()
        for i, t in enumerate(taught)
        for j, s in enumerate(said)
        if i != j
    ]
    assert float(method.criterion(taught, said)) == pytest.approx(
        float(sum(terms) / len(terms)), abs=1e-4
    )
    moved = 0.9 * center + 0.1 * torch.cat(taught).mean(0)
    torch.testing.assert_close(method.criterion.center, moved)


def test_teacher_equals_student_at_the_start_and_gets_no_gradient() -> None:
    method = DINO(in_channels=4)
    pairs = [(method.model, method.teacher), (method.student_head, method.teacher_head)]
    for student, teacher in pairs:
        ours, theirs = student.state_dict(), teacher.state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert not any(one.requires_grad for one in teacher.parameters())
        assert not {one.data_ptr() for one in student.parameters()} & {
            one.data_ptr() for one in teacher.parameters()
        }


def test_the_teacher_is_the_average_of_students(parcels: Path) -> None:
    torch.manual_seed(0)
    method = DINO(**SMALL, local_crops=1, local_length=4, local_dates=2, momentum=0.9)
    start = method.teacher.embed.weight.clone()
    _fit(method, parcels, max_steps=1)
    # On the first step of one the cosine stands at its start: 0.9.
    expected = 0.9 * start + 0.1 * method.model.embed.weight
    torch.testing.assert_close(method.teacher.embed.weight, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", [SimCLR, DINO])
@pytest.mark.parametrize("budget", [{"max_steps": 7}, {"max_epochs": 2}])
def test_schedules_end_with_the_run(method: type[Method], budget: dict[str, int], parcels: Path) -> None:
    rates: list[float] = []

    class Rates(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *args: object) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    made = method(**SMALL)
    runner = _fit(made, parcels, callbacks=[Rates()], **budget)
    assert runner.global_step == budget.get("max_steps", runner.global_step)
    assert runner.current_epoch == budget.get("max_epochs", runner.current_epoch)
    assert max(rates) == pytest.approx(made.hparams["lr"], rel=0.05)
    assert rates[-1] < 0.2 * max(rates)


@pytest.mark.parametrize("method", [SimCLR, DINO])
def test_a_run_repeats_itself(method: type[Method], parcels: Path) -> None:
    weights = []
    for _ in range(2):
        lightning.seed_everything(3)
        made = method(**SMALL)
        _fit(made, parcels, max_steps=2)
        weights.append(made.backbone.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@torch.no_grad()
def _recognised(method: SimCLR, data: PlanarDataModule) -> float:
    """How many regions of a batch lie nearest to the other view of themselves."""
    batch = next(iter(data.train_dataloader()))
    first, second = (
        nn.functional.normalize(method.projector(method.model(draw(batch, view, number)).embedding))
        for number, view in enumerate(method.views)
    )
    return float(((first @ second.T).argmax(1) == torch.arange(len(batch))).float().mean())


def test_simclr_learns_to_recognise_a_region_on_other_dates(parcels: Path) -> None:
    torch.manual_seed(0)
    method = SimCLR(in_channels=4, length=16, dates=8, gain=0)
    shown = PlanarDataModule(str(parcels), batch_size=32, split="none")
    shown.setup("fit")
    before = _recognised(method.eval(), shown)
    _fit(method.train(), parcels, max_steps=60, batch_size=32)
    after = _recognised(method.eval(), shown)
    assert before < 0.1
    assert after > 0.18


def test_bands_that_do_not_fit_are_named(parcels: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"4 bands \(B02, B03, B04, B08\), the model takes 10"):
        _fit(SimCLR(length=8, dates=4), parcels, max_steps=1)
