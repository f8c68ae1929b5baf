"""Probe: what a frozen backbone knows of the classes of a store, beside the floors."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch

import sits_models
from sits_data.store import PlanarStore
from sits_models import registry
from sits_models.bench.design import Design
from sits_models.bench.features import Embedder, pick_device, view_length
from sits_models.bench.floors import random_twin, simple_floors
from sits_models.bench.problem import pose
from sits_models.bench.readers import fit_linear
from sits_models.bench.scores import Scores, save_scores
from sits_models.checkpoint import ModelCard, check_card, load_backbone, read_card, save_checkpoint
from sits_models.data.residence import open_table
from sits_models.data.stores import open_one
from sits_models.fit.cards import data_lines
from sits_models.runs import check_free, new_run


def probe(
    checkpoint: Path | str,
    store: Path | str | None,
    out: Path,
    *,
    design: Design,
    device: str | None = None,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: bool = False,
) -> Scores:
    """Judge a frozen backbone by kNN and a linear layer, and keep the layer fitted on all folds.

    The floors are the same backbone with random weights, raw features under ridge and random forest,
    and the majority class. `out` then holds `scores.json` and a classifier for `predict`.

    Args:
        checkpoint: with the backbone: a run folder or a file.
        store: labelled, of the checkpoint's bands and resolution; None is the only `*.planar` of the
            working directory.
        out: the run folder.
        design: how the store is cut into training and test samples.
        device: that computes features, such as `cpu` or `cuda`; None takes a GPU where there is one.
        overwrite: delete a run that is there.
        command: what `run.json` says the user typed.
        progress: show bars on stderr.

    Raises:
        NotACheckpoint, CheckpointMismatch: the checkpoint cannot be used, or not on this store.
        NotAStore, DamagedStore: the path holds no store of this version, or not all of it.
        TooFewLabels, InvalidRequest: the store cannot be split as asked.
        RunExists, OutputNotWritable: the run cannot be written there.
        MissingDevice: the device is not there.
    """
    began = time.monotonic()
    place = pick_device(device)
    card, opened = read_card(checkpoint), open_one(store or ".")
    check_free(out, overwrite=overwrite, resume=False, reads=[checkpoint, opened.path])
    manifest = opened.manifest
    check_card(card, bands=manifest.bands, resolution_m=manifest.grid.resolution_m)
    problem = pose(opened, open_table(opened, resident="never"), design)
    backbone = load_backbone(checkpoint)
    with new_run(
        out, kind="probe", command=command, seed=design.seed, device=str(place), overwrite=overwrite
    ) as folder:
        networks = {"pretrained": backbone, "random-init": random_twin(card, seed=design.seed)}
        features = {
            name: Embedder(
                network, card.normalisation, view_length(card), device=place,
                form=registry.form_of(card.backbone, card.backbone_arguments),
                progress=name if progress else None,
            ).items(problem.table, problem.items)
            for name, network in networks.items()
        }  # fmt: skip
        rows = [
            problem.read(name, reader, features[name], floor=name != "pretrained")
            for name in networks
            for reader in ("kNN", "linear")
        ]
        rows += simple_floors(problem)
        scores = problem.scores("probe", rows, notes=problem.cautions(card), began=began)
        head = fit_linear(
            features["pretrained"][problem.final], torch.from_numpy(problem.labels[problem.final]),
            classes=len(manifest.classes), groups=torch.from_numpy(problem.groups[problem.final]),
        )  # fmt: skip
        save_checkpoint(folder, backbone, _classifier(card, opened, str(checkpoint)), head)
        save_scores(scores, folder)
    return scores


def _classifier(card: ModelCard, store: PlanarStore, parent: str) -> ModelCard:
    """The card of a backbone with a head that was fitted to a store."""
    known = {str(one["store"]): one for one in card.data}
    update = {
        "kind": "classifier",
        "classes": store.manifest.classes,
        "mask": store.manifest.mask,
        "dates": f"{card.dates}; the head: dates of the whole series",
        "data": tuple({**known, store.source: data_lines([store])[0]}.values()),
        "seen": tuple(dict.fromkeys([*card.seen, store.source])),
        "code_version": sits_models.__version__,
        "parent": parent,
    }
    return card.model_copy(update=update)
