"""Self-supervised pretraining, from words of a command line to a checkpoint in a run folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer

from sits_models import registry
from sits_models.data.stores import find_stores, open_stores
from sits_models.errors import InvalidConfig
from sits_models.fit.cards import card_of
from sits_models.fit.config import Config, parse
from sits_models.fit.export import Export, Trained
from sits_models.fit.run import check_state, make_trainer, train
from sits_models.methods.base import Method
from sits_models.monitor import CollapseAlarm, Monitor, Recorder
from sits_models.runs import CONFIG, LAST, check_free, leads, new_run


@dataclass(frozen=True)
class Pretrained:
    """What came out.

    Args:
        out: the run folder, which is the checkpoint too.
        method, backbone: registered names, or a class of somebody's.
        regions: that it was trained on.
        epochs, steps: done.
        train_loss: the last; None where none was logged.
        embedding_std, rankme, knn_macro_f1: the last; None where they were not measured.
        collapsed: whether the alarm went off.
    """

    out: Path
    method: str
    backbone: str
    regions: int
    epochs: int
    steps: int
    train_loss: float | None
    embedding_std: float | None
    rankme: float | None
    knn_macro_f1: float | None
    collapsed: bool


def pretrain(
    arguments: Sequence[str],
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    command: Sequence[str] = (),
    progress: bool = False,
) -> Pretrained:
    """Train a backbone without labels and leave it in a run folder.

    Args:
        arguments: flags of model, data and trainer, see `parse`.
        out: the run folder.
        overwrite: delete a run that is there.
        resume: go on with an unfinished run, with its settings but for those in `arguments`; on a
            CPU the weights become those of a run that was never interrupted, bit for bit.
        command: what `run.json` says the user typed; `arguments` by default.
        progress: show a bar on stderr.

    Raises:
        RunExists, NotARun: the folder cannot be used, see `new_run`.
        InvalidConfig: a setting is unknown, of the wrong type, or refused.
        MissingDevice: the accelerator that was asked for is not there.
        NotAStore, DamagedStore, InvalidRequest: the data cannot be used, see `PlanarDataModule`.
    """
    check_free(out, overwrite=overwrite, resume=resume)
    config = read_settings(arguments, out if resume else None)
    backbone = config.get("model.init_args.backbone")
    if backbone is not None and registry.form_of(backbone) != "curve":
        raise InvalidConfig(
            f"methods draw planar views, {backbone} takes chips; pretrain another backbone, or train "
            "this one with finetune --from-scratch"
        )
    state = out / LAST if resume and (out / LAST).is_file() else None
    if state:
        check_state(state)
    parts = config.instantiate()
    method = method_name(type(parts.model))

    def describe(_: Trainer, model: LightningModule) -> Trained:
        assert isinstance(model, Method)
        return Trained(model.backbone, card_of(model, parts.data, method=method))

    watchers = [Monitor(), CollapseAlarm(), Recorder(str(out)), Export(out, describe)]
    trainer = make_trainer(
        parts.trainer, out, callbacks=watchers, progress=progress, resume=state is not None
    )
    device = str(trainer.strategy.root_device)
    with new_run(
        out,
        kind="pretrain",
        command=command or arguments,
        seed=config["seed"],
        device=device,
        overwrite=overwrite,
        resume=resume,
    ):
        if leads():
            config.save(out / CONFIG)
        train(trainer, parts.model, parts.data, resume=state)
    found = {name: float(value) for name, value in trainer.logged_metrics.items()}
    return Pretrained(
        out=out,
        method=method,
        backbone=str(parts.model.hparams["backbone"]),
        regions=sum(map(len, parts.data.train_regions)),
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        train_loss=found.get("train_loss"),
        embedding_std=found.get("embedding_std"),
        rankme=found.get("rankme"),
        knn_macro_f1=found.get("knn_macro_f1"),
        collapsed=bool(found.get("collapsed", 0)),
    )


def read_settings(arguments: Sequence[str], resumed: Path | None = None) -> Config:
    """Settings of a method, with as many input channels as the store has bands.

    Args:
        arguments: see `parse`.
        resumed: folder of a run whose settings come first.

    Raises:
        InvalidConfig: a setting is unknown or of the wrong type, or contradicts the store.
        NotAStore, DamagedStore, InvalidRequest: the store cannot be used.
    """
    before = [f"--config={resumed / CONFIG}"] if resumed and (resumed / CONFIG).is_file() else []
    simclr = registry.target("methods", "simclr")
    assert isinstance(simclr, type)
    config = parse([*before, *arguments], model=Method, default=simclr)
    registry.card("backbones", str(config["model.init_args.backbone"]))
    stores = open_stores(config["data.root"])
    bands = stores[0].manifest.bands
    given = config["model.init_args.in_channels"]
    if given not in (_usual(config["model.class_path"], "in_channels"), len(bands)):
        raise InvalidConfig(
            f"--model.in_channels must be the number of bands of {stores[0].path}, which has "
            f"{len(bands)} ({', '.join(bands)}), got {given}; leave it out"
        )
    # Paths as they are from anywhere: a run may be resumed from another folder.
    roots = [str(path.resolve()) for path in find_stores(config["data.root"])]
    return config.replace(
        {
            "model.init_args.in_channels": len(bands),
            "data.root": roots[0] if len(roots) == 1 else roots,
        }
    )


def method_name(method: type) -> str:
    """The registered name of a method's class, or its path."""
    path = f"{method.__module__}:{method.__qualname__}"
    names = registry.names("methods")
    return next((name for name in names if registry.card("methods", name).target == path), path)


def _usual(path: str, argument: str) -> object:
    """The default of an argument of a class."""
    module, _, name = path.rpartition(".")
    return signature(getattr(import_module(module), name)).parameters[argument].default
