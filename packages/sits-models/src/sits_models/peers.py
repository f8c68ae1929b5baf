"""Weights of others as checkpoints of ours, so that they are judged by the same commands."""

import pickle
from pathlib import Path

import torch

import sits_models
from sits_data.bands import DEFAULT_BANDS
from sits_models.backbones.presto import PrestoEncoder
from sits_models.checkpoint import ModelCard, save_checkpoint
from sits_models.data.normalisation import Normalisation
from sits_models.errors import NotACheckpoint
from sits_models.runs import new_run

_AS_IT_IS = Normalisation(bands=DEFAULT_BANDS, low=(-1.0,) * 10, high=(1.0,) * 10)


def import_presto(
    weights: Path, out: Path, *, latlon: tuple[float, float], overwrite: bool = False
) -> ModelCard:
    """Write Presto's encoder as a checkpoint.

    Args:
        weights: a state dictionary of nasaharvest/presto or of TorchGeo, with the decoder or without; it
            is read without unpickling.
        out: the run folder.
        latlon: degrees north and east of the place that it will be used at.
        overwrite: delete a run that is there.

    Raises:
        NotACheckpoint: the file holds other weights.
        RunExists, OutputNotWritable: the checkpoint cannot be written there.
    """
    try:
        found = torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise NotACheckpoint(
            f"{weights} must hold a state dictionary of Presto: {' '.join(str(error).split())[:200]}"
        ) from error
    backbone = PrestoEncoder(latlon=latlon)
    ours = {
        name.replace("encoder.norm.", "norm."): value
        for name, value in dict(found).items()
        if name.startswith("encoder.")
    }
    try:
        backbone.load_state_dict(ours)
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise NotACheckpoint(f"the weights of {weights} are not those of Presto: {detail}") from error
    card = ModelCard(
        method="presto",
        backbone="presto",
        backbone_arguments={"in_channels": 10, "latlon": list(latlon)},
        bands=DEFAULT_BANDS,
        resolution_m=10,
        mask="standard",
        normalisation=_AS_IT_IS,
        dates="twelve monthly means of the year with most dates",
        views={"length": 64},
        licence="MIT (weights of nasaharvest/presto)",
        seen=("Presto's pretraining set",),
        code_version=sits_models.__version__,
        parent=weights.name,
    )
    with new_run(
        out, kind="peer", command=("peer", "presto"), seed=0, device="cpu", overwrite=overwrite
    ):
        save_checkpoint(out, backbone, card)
    return card
