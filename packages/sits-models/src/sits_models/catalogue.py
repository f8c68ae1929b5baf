"""What comes with this package, as cards: strings and numbers only, so that a listing needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal["methods", "backbones", "tasks", "datasets"]
Form = Literal["curve", "chip"]
"""What a backbone takes: planar images, or pixels as they lie on the ground."""

_PLANAR = "planar images (C, T, L) with dates, clear flags and places"
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True)
class Card:
    """What a reader wants to know of an entry before importing it.

    Args:
        name: what commands and configs call it.
        kind: what it is.
        target: `module:attribute`, a class or a function.
        summary: one line.
        paper: where it is from; empty for what is ours.
        input: what it takes, in words.
        form: of the samples that a backbone takes.
        defaults: arguments that make this entry of `target`.
        parameters: weights of a backbone of ten bands; None where that says nothing.
    """

    name: str
    kind: Kind
    target: str
    summary: str
    paper: str = ""
    input: str = _PLANAR
    form: Form = "curve"
    defaults: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    parameters: int | None = None


def _planar_vit(size: str, parameters: int, **defaults: object) -> Card:
    return Card(
        name=f"planar_vit_{size}",
        kind="backbones",
        target="sits_models.backbones.planar_vit:PlanarViT",
        summary="Transformer along time, then along the curve; features of regions and of pixels.",
        paper="after TSViT, Tarasiou et al., CVPR 2023, arXiv 2301.04944",
        defaults=MappingProxyType(defaults),
        parameters=parameters,
    )


BUILT_IN: tuple[Card, ...] = (
    Card(
        name="simclr",
        kind="methods",
        target="sits_models.methods.simclr:SimCLR",
        summary="Two views of a region attract, views of other regions repel.",
        paper="Chen et al., ICML 2020, arXiv 2002.05709",
        input="batches of regions of one store and year; draws two planar views",
    ),
    Card(
        name="dino",
        kind="methods",
        target="sits_models.methods.dino:DINO",
        summary="A student sees parts of what its slowly moving teacher sees, and answers alike.",
        paper="Caron et al., ICCV 2021, arXiv 2104.14294",
        input="batches of regions of one store and year; draws two global and some local views",
    ),
    _planar_vit("nano", 401_024, dim=96, heads=3, temporal_depth=2, spatial_depth=2),
    _planar_vit("tiny", 2_151_104, dim=192, heads=3, temporal_depth=4, spatial_depth=2),
    _planar_vit("small", 15_607_232, dim=384, heads=6, temporal_depth=8, spatial_depth=4),
    Card(
        name="deepstar_cviu2021",
        kind="backbones",
        target="sits_models.backbones.deepstar:DeepSTaR",
        summary="SqueezeNet 1.1 on a square canvas of three bands; its recipe is cviu2021.",
        paper="Chelali et al., CVIU 208-209 (2021) 103221",
        parameters=722_496,
    ),
    Card(
        name="siamese",
        kind="backbones",
        target="sits_models.backbones.siamese:Siamese",
        summary="Another backbone (of) on two periods, and how what it says of them differs.",
        paper="after Daudt et al., ICIP 2018, arXiv 1810.08462",
        input="what the other one takes",
        defaults=MappingProxyType({"periods": ("2022-01-01",)}),
    ),
    Card(
        name="classification",
        kind="tasks",
        target="sits_models.tasks.classification:RegionClassification",
        summary="The class of a region, or of each of its pixels.",
    ),
    Card(
        name="segmentation",
        kind="tasks",
        target="sits_models.tasks.segmentation:PixelSegmentation",
        summary="The class of each pixel.",
        input="planar images, or chips (T, C, H, W)",
    ),
    Card(
        name="change",
        kind="tasks",
        target="sits_models.tasks.change:ChangeDetection",
        summary="What changed between periods, of a region or of each of its pixels.",
        input="planar images, or chips (T, C, H, W)",
    ),
    Card(
        name="planar",
        kind="datasets",
        target="sits_models.data.planar:PlanarDataset",
        summary="Regions of a planar store that sits-data wrote.",
        input="NAME.planar",
    ),
)
