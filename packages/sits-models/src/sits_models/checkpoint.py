"""Weights and what one must know to use them: `backbone.safetensors`, `head.safetensors`, `card.json`.

Nothing is unpickled: reading a checkpoint of a stranger runs none of their code.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, JsonValue, ValidationError

from sits_data.manifest import LabelClass
from sits_data.output import write_atomically, writing_to
from sits_models.data.normalisation import Normalisation
from sits_models.errors import CheckpointMismatch, NotACheckpoint
from sits_models.registry import create

if TYPE_CHECKING:
    from torch import Tensor, nn

BACKBONE: Final = "backbone.safetensors"
HEAD: Final = "head.safetensors"
CARD: Final = "card.json"
SCHEMA_VERSION: Final = 1

_PICKLED = {".ckpt", ".pt", ".pth", ".pkl", ".bin"}


class ModelCard(BaseModel, frozen=True):
    """What a checkpoint is, what it takes, and what it was trained on; `card.json` holds it.

    Args:
        schema_version: of this format; another one is not read.
        kind: a backbone alone, or a classifier: a backbone and a linear head.
        classes: that the head names, by position; empty without a head.
        method: that trained the backbone; None for none (random weights, or trained for a task only).
        backbone: its registered name.
        backbone_arguments: that make it, JSON.
        bands: ids in the order of the band axis.
        units: of the values before normalisation.
        resolution_m: pixel size in metres.
        mask: preset that says which observations are unclear.
        normalisation: of the values.
        dates: which dates a view showed, in words.
        views: what views were drawn; `length` is positions along the curve.
        data: training data, one a store: store, regions, first and last day, sources.
        licence: of the training data.
        seen: names of the data sets seen in training, before and now.
        code_version: of sits-models.
        parent: checkpoint that training began with.
        per_pixel: whether features of single pixels mean something.
        files: sha256 of the weights, by file name.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["backbone", "classifier"] = "backbone"
    classes: tuple[LabelClass, ...] = ()
    method: str | None = None
    backbone: str
    backbone_arguments: dict[str, JsonValue]
    bands: tuple[str, ...]
    units: Literal["reflectance"] = "reflectance"
    resolution_m: int
    mask: str
    normalisation: Normalisation
    dates: str = ""
    views: dict[str, JsonValue] = {}
    data: tuple[dict[str, JsonValue], ...] = ()
    licence: str = ""
    seen: tuple[str, ...] = ()
    code_version: str = ""
    parent: str | None = None
    per_pixel: bool = True
    files: dict[str, str] = {}


def save_checkpoint(
    folder: Path, backbone: "nn.Module", card: ModelCard, head: "nn.Module | None" = None
) -> None:
    """Write weights and card into a folder, which is made if need be.

    The card is removed first and written last: a folder with a card is a whole checkpoint.

    Args:
        folder: of the run.
        backbone: what `card.backbone` and `card.backbone_arguments` make.
        card: its `files` are filled in here.
        head: a linear layer from the backbone's features to `card.classes`.

    Raises:
        OutputNotWritable: no permission, or the disk is full.
    """
    from safetensors.torch import save

    parts = {BACKBONE: backbone} | ({} if head is None else {HEAD: head})
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CARD, HEAD):
            (folder / name).unlink(missing_ok=True)
        files: dict[str, str] = {}
        for name, module in parts.items():
            weights = {
                key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()
            }
            data = save(weights)
            files[name] = hashlib.sha256(data).hexdigest()
            write_atomically(folder / name, data)
        text = card.model_copy(update={"files": files}).model_dump_json(indent=2)
        write_atomically(folder / CARD, text.encode())


def read_card(path: Path | str) -> ModelCard:
    """The card of a checkpoint: a run folder, or a `.safetensors` file with `card.json` beside it.

    Raises:
        NotACheckpoint: nothing there, a pickle, or a card that this version does not read.
    """
    file = _folder(Path(path)) / CARD
    try:
        return ModelCard.model_validate_json(file.read_bytes())
    except OSError as error:
        raise NotACheckpoint(
            f"a checkpoint is a folder with {CARD} and {BACKBONE}, {path} has no {CARD} that can be "
            "read; give the folder of a finished run"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise NotACheckpoint(
            f"{file} must be a card of version {SCHEMA_VERSION}, {where} is not: {first['msg']}; "
            "export the checkpoint again"
        ) from error


def load_backbone(path: Path | str) -> "nn.Module":
    """The backbone of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        NotACheckpoint: nothing there, a pickle, damaged, or not the weights that the card says.
        UnknownName: no installed package registers the backbone.
    """
    card, path = read_card(path), Path(path)
    weights = _read_weights(path if path.is_file() else path / BACKBONE, card)
    backbone: nn.Module = create("backbones", card.backbone, **card.backbone_arguments)
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise NotACheckpoint(
            f"the weights of {path} do not fit {card.backbone} as the card makes it: {detail}"
        ) from error
    return backbone.eval()


def load_head(path: Path | str) -> "nn.Linear":
    """The linear layer (D to K) of a classifier, on the CPU.

    Raises:
        NotACheckpoint: as `load_backbone`, and for a checkpoint without a head.
    """
    from torch import nn

    card, folder = read_card(path), _folder(Path(path))
    if card.kind != "classifier":
        raise NotACheckpoint(
            f"{path} holds a backbone without a head, which names no classes; run probe or finetune on "
            "it and give the folder that they write"
        )
    weights = _read_weights(folder / HEAD, card)
    weight = weights.get("weight")
    if weight is None or weight.ndim != 2 or len(weight) != len(card.classes):
        raise NotACheckpoint(f"{folder / HEAD} must be a linear layer to {len(card.classes)} classes")
    head = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in weights)
    head.load_state_dict(weights)
    return head.eval()


def check_card(
    card: ModelCard, *, bands: Sequence[str], resolution_m: float, units: str = "reflectance"
) -> None:
    """Make sure that data is what a checkpoint was trained on.

    Args:
        card: of the checkpoint.
        bands: of the data, in order.
        resolution_m: its pixel size.
        units: of its values.

    Raises:
        CheckpointMismatch: naming everything that differs.
    """
    pairs: Mapping[str, tuple[Any, Any]] = {
        "bands": (", ".join(card.bands), ", ".join(bands)),
        "resolution": (f"{card.resolution_m} m", f"{resolution_m:g} m"),
        "units": (card.units, units),
    }
    differences = [
        f"{name} {ours} in the checkpoint, {theirs} in the data"
        for name, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
    if differences:
        raise CheckpointMismatch(
            f"data must be like that of training, it differs in {'; '.join(differences)}; build the "
            "cube with the checkpoint's bands in its order, at its resolution"
        )


def _folder(path: Path) -> Path:
    """The folder of a checkpoint that was given as a folder or as a file."""
    if path.suffix in _PICKLED:
        raise NotACheckpoint(
            f"{path} is a pickle, which may run anything when it is read, so it is not; give the "
            f"folder of the run, which holds {BACKBONE} and {CARD}"
        )
    return path.parent if path.suffix == ".safetensors" else path


def _read_weights(file: Path, card: ModelCard) -> dict[str, "Tensor"]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotACheckpoint(
            f"{file} is missing or cannot be read; export the checkpoint again"
        ) from error
    if hashlib.sha256(data).hexdigest() != card.files.get(file.name):
        raise NotACheckpoint(
            f"{file} is damaged or is not the one that its card was written for; copy the folder again"
        )
    try:
        return dict(load(data))
    except SafetensorError as error:
        raise NotACheckpoint(f"{file} must hold safetensors, got {error}") from error
