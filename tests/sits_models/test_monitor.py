import logging
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sits_models.data import PlanarDataModule
from sits_models.methods import SimCLR
from sits_models.monitor import CollapseAlarm, Monitor, Recorder
from sits_models.monitor.spread import embedding_std, rankme


def test_rankme_by_hand() -> None:
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert rankme(corners) == pytest.approx(2)
    assert rankme(corners * torch.tensor([1.0, 0])) == pytest.approx(1)
    # Singular values 3 : 1 make shares 0.75 and 0.25.
    expected = np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert rankme(corners * torch.tensor([3.0, 1])) == pytest.approx(expected)
    assert rankme(torch.ones(5, 3)) == 0


@given(st.integers(0, 999))
def test_rankme_ignores_scale_shift_and_rotation(seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 5, generator=draws)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=draws))
    assert rankme(3 * x @ turn + 7) == pytest.approx(rankme(x), rel=1e-4)
    assert 1 <= rankme(x) <= 5


def test_std_is_one_for_directions_everywhere_and_none_for_one() -> None:
    everywhere = torch.randn(5000, 64, generator=torch.Generator().manual_seed(0))
    assert embedding_std(everywhere) == pytest.approx(1, abs=0.03)
    assert embedding_std(torch.ones(50, 64) * torch.rand(50, 1)) == pytest.approx(0, abs=1e-6)


class _Constant(SimCLR):
    """A method whose embeddings are all the same."""

    def loss_of(self, batch: object) -> torch.Tensor:
        loss: torch.Tensor = super().loss_of(batch)  # type: ignore[arg-type]
        self.last_embedding = torch.ones_like(self.last_embedding)
        return loss


@pytest.mark.parametrize(("kind", "alarms"), [(_Constant, 1), (SimCLR, 0)])
def test_the_alarm_goes_off_once_for_a_collapse_and_never_for_a_healthy_run(
    kind: type[SimCLR], alarms: int, parcels: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lightning.seed_everything(0)
    alarm = CollapseAlarm(every_n_steps=2, patience=2)
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=16, logger=False, enable_checkpointing=False, callbacks=[alarm],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with caplog.at_level(logging.WARNING, "sits_models"):
        trainer.fit(
            kind(in_channels=4, length=8, dates=4),
            datamodule=PlanarDataModule(str(parcels), batch_size=16),
        )
    assert caplog.text.count("have collapsed") == alarms
    assert alarm.collapsed == bool(alarms)


def test_a_watched_run_logs_figures_and_records_what_it_saw(parcels: Path, tmp_path: Path) -> None:
    lightning.seed_everything(0)
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False,
        callbacks=[Monitor(), Recorder(str(tmp_path))],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    method = SimCLR(in_channels=4, length=8, dates=4)
    trainer.fit(method, datamodule=PlanarDataModule(str(parcels), batch_size=16))
    figures = trainer.callback_metrics
    assert 0 < figures["embedding_std"] < 2
    assert 1 <= figures["rankme"] <= 96
    assert 0 <= figures["knn_macro_f1"] <= 1
    with np.load(tmp_path / "views.npz") as views:
        assert views["image"].shape == (4, 4, 4, 8)
        assert views["clear"].shape == (4, 4, 8)
        assert views["view"].tolist() == [0, 0, 1, 1]
        assert views["bands"].tolist() == ["B02", "B03", "B04", "B08"]
    with np.load(tmp_path / "embedding.npz") as found:
        assert found["embedding"].shape == (len(found["label"]), 96)
        assert np.isfinite(found["embedding"]).all()
        assert (found["yx"][0] == 0).all()
