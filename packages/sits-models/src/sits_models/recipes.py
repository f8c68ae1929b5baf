"""Settings of finetune that belong together, by name.

Source: Chelali, Kurtz, Puissant and Vincent, CVIU 208-209 (2021) 103221, sections 3.3 to 4.4.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sits_data.errors import InvalidRequest

PAPER_BANDS: Final = ("B08", "B04", "B03")

_RED_GREEN_BLUE = ("B04", "B03", "B02")

_PAPER: Mapping[str, object] = {
    "model.backbone": "deepstar_cviu2021",
    "model.class_weights": "balanced",
    "model.optimizer": "adam",
    "model.lr": 1e-6,
    "model.weight_decay": 0.0,
    "model.schedule": "constant",
    "model.patience": 20,
    "data.dates": None,
    "data.batch_size": 128,
    "data.validation": 0.25,
    "trainer.max_steps": -1,
    "trainer.max_epochs": 1000,
    "trainer.gradient_clip_val": None,
}
_WALKS: Mapping[str, object] = {"data.order": "walk:iid", "data.walks": 0.7, "data.length": 50}

_MODERN: Mapping[str, object] = {
    "model.backbone": "timm_resnet18",
    "model.class_weights": "balanced",
    "model.lr": 1e-3,
    "data.dates": None,
    "data.batch_size": 128,
}

RECIPES: Mapping[str, str] = {
    "deepstar": "random walks (MS-STR) at their own size, all bands, ResNet-18 from ImageNet, AdamW",
    "deepstar-gstr": "the same with one Hilbert curve a region (G-STR), in eight orientations",
    "cviu2021": "Deep-STaR as published: random walks (MS-STR) on a canvas of 224 x 224",
    "cviu2021-gstr": "the same with one Hilbert curve a region (G-STR)",
}
"""What there is, and what it is in a line."""


def recipe(name: str, bands: Sequence[str]) -> dict[str, object]:
    """Settings by their flags, to be used where the user says nothing else.

    Args:
        name: one of `RECIPES`.
        bands: ids of the store's, in its order.

    Raises:
        InvalidRequest: there is no such recipe, or the store lacks its bands.
    """
    if name not in RECIPES:
        raise InvalidRequest(f"no recipe is called {name!r}; there are {', '.join(RECIPES)}")
    if name.startswith("deepstar"):
        colours = [list(bands).index(band) for band in _RED_GREEN_BLUE if band in bands]
        start = {"pretrained": True, "colours": colours if len(colours) == 3 else None}
        modern = {**_MODERN, "model.backbone_args": start}
        if name == "deepstar":
            return {**modern, "data.order": "walk", "data.walks": 4, "data.length": 50}
        return {**modern, "data.order": "hilbert:*", "data.length": 128}
    if missing := [band for band in PAPER_BANDS if band not in bands]:
        raise InvalidRequest(
            f"the recipe {name} needs the bands {', '.join(PAPER_BANDS)}, the store lacks "
            f"{', '.join(missing)}; build the cube with them"
        )
    read = {"bands": [list(bands).index(band) for band in PAPER_BANDS], "pretrained": True}
    if name == "cviu2021":
        return {**_PAPER, **_WALKS, "model.backbone_args": {**read, "fit": "centre"}}
    curve = {"data.order": "hilbert:*", "data.walks": None, "data.length": 224}
    return {**_PAPER, **curve, "model.backbone_args": {**read, "fit": "repeat"}}
