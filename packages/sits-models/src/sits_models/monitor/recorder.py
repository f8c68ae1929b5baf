"""What a run saw and what came of it, for its report: `views.npz` and `embedding.npz`."""

import io
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from sits_data.output import write_atomically
from sits_models.bench.features import Embedder
from sits_models.data.regions import RegionBatch
from sits_models.views.planar import draw

VIEWS, EMBEDDING = "views.npz", "embedding.npz"


class Recorder(Callback):
    """Saves views of the first batch when they are drawn, and embeddings when the run ends.

    `views.npz`: `image` (V, C, T, L) float16, `clear` (V, T, L), `dates` (V, T), `pad_mask` (V, T),
    `region` (V,), `view` (V,) number of the view, `bands`. `embedding.npz`: `embedding` (N, D) float32,
    `label` (N,), `region` (N,), `yx` (N, 2) metres from the first one.

    Args:
        folder: of the run.
        regions: whose views are saved.
        max_regions: that are embedded.
    """

    def __init__(self, folder: str, regions: int = 2, max_regions: int = 2000) -> None:
        self.folder, self.regions, self.max_regions = folder, regions, max_regions

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Save the views of a few regions of the first batch."""
        target = Path(self.folder) / VIEWS
        views = getattr(pl_module, "views", None)
        if not isinstance(batch, RegionBatch) or views is None or target.exists():
            return
        if not trainer.is_global_zero:
            return
        longest = (max(view.dates for view in views), max(view.length for view in views))
        arrays: dict[str, list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]] = {}
        for number, view in enumerate(views):
            drawn = draw(batch, view, number)
            short = (longest[0] - drawn["image"].shape[2], longest[1] - drawn["image"].shape[3])
            time, place = (0, short[0]), (0, short[1])
            pads = {
                "image": [(0, 0), (0, 0), time, place],
                "clear": [(0, 0), time, place],
                "dates": [(0, 0), time],
                "pad_mask": [(0, 0), time],
                "region": [(0, 0)],
            }
            for key, pad in pads.items():
                values = drawn[key][: self.regions].cpu().numpy()  # type: ignore[literal-required]
                arrays.setdefault(key, []).append(np.pad(values, pad[: values.ndim]))
            arrays.setdefault("view", []).append(np.full(len(values), number))
        joined = {key: np.concatenate(parts) for key, parts in arrays.items()}
        joined["image"] = joined["image"].astype(np.float16)
        _save(target, joined | {"bands": np.array(batch.table.bands)})

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the embeddings of regions that are spread over the first store."""
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        if not trainer.is_global_zero or trainer.interrupted:
            return
        table = datamodule.tables[0]
        count = min(self.max_regions, len(table))
        regions = torch.from_numpy(np.unique(np.linspace(0, len(table) - 1, count).astype(np.int64)))
        backbone = pl_module.backbone
        assert isinstance(backbone, nn.Module)
        length = int(pl_module.view_length)  # type: ignore[arg-type]
        embedder = Embedder(backbone, datamodule.normalisation, length, device=pl_module.device)
        embedding = embedder.regions(table, regions)
        place = table.centre.cpu()[regions] * table.resolution_m
        _save(
            Path(self.folder) / EMBEDDING,
            {
                "embedding": embedding.numpy(),
                "label": table.label.cpu()[regions].numpy(),
                "region": table.region_id.cpu()[regions].numpy(),
                "yx": (place - place[:1]).numpy(),
            },
        )


def _save(target: Path, arrays: "dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]") -> None:
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    write_atomically(target, data.getvalue())
