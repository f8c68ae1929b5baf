"""What comes with this package, as cards: strings and numbers only, so that a listing needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal["methods", "backbones", "tasks", "datasets"]
Form = Literal["curve", "chip"]
"""What a backbone takes: planar images, or pixels as they lie on the ground."""

_PLANAR = "planar images (C, T, L) with dates, clear flags and places"
_INPUT: Mapping[Form, str] = {
    "curve": "planar images (C, T, L) with dates and clear flags",
    "chip": "chips (T, C, H, W) with dates and clear flags",
}
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
        form: of the samples that a backbone takes: "curve", planar images (B, C, T, L) with a vector for
            each position, or "chip", images (B, T, C, H, W) with a vector for each pixel.
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


def _baseline(
    name: str,
    target: str,
    parameters: int,
    summary: str,
    paper: str,
    form: Form = "curve",
    **defaults: object,
) -> Card:
    return Card(
        name=name,
        kind="backbones",
        target=f"sits_models.backbones.{target}",
        summary=summary,
        paper=paper,
        input=_INPUT[form],
        defaults=MappingProxyType(defaults),
        parameters=parameters,
        form=form,
    )


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
    _baseline(
        "tempcnn",
        "tempcnn:TempCNN",
        1_241_536,
        "Convolutions along the interpolated season of each pixel.",
        "Pelletier et al., Remote Sensing 11(5) 523, 2019",
    ),
    _baseline(
        "lstm",
        "recurrent:Recurrent",
        1_335_296,
        "LSTM, three layers of 256, over the clear dates of each pixel.",
        "Hochreiter and Schmidhuber, 1997; sizes of Chelali et al., CVIU 2021",
        cell="lstm",
    ),
    _baseline(
        "gru",
        "recurrent:Recurrent",
        1_001_472,
        "GRU, three layers of 256, over the clear dates of each pixel.",
        "Cho et al., EMNLP 2014, arXiv 1406.1078",
        cell="gru",
    ),
    _baseline(
        "series_transformer",
        "series_transformer:SeriesTransformer",
        168_192,
        "Transformer over the clear dates of each pixel; the maximum over time.",
        "Rußwurm and Körner, ISPRS 169, 2020, arXiv 1910.10536",
    ),
    _baseline(
        "ltae",
        "ltae:LTAE",
        101_632,
        "Light attention with learned queries over the clear dates of each pixel.",
        "Garnot and Landrieu, 2020, arXiv 2007.00586",
    ),
    _baseline(
        "pse_ltae",
        "pse_ltae:PSELTAE",
        119_648,
        "A region as a set of pixels on each date, then light attention; no vector of a pixel's own.",
        "Garnot et al., CVPR 2020, arXiv 1911.07757",
    ),
    _baseline(
        "timm_resnet18",
        "timm_cnn:TimmCNN",
        2_814_144,
        "ResNet-18 on planar images as pictures, down to cells of 16 dates by 16 positions.",
        "He et al., CVPR 2016, arXiv 1512.03385",
        network="resnet18",
    ),
    _baseline(
        "timm_convnext_atto",
        "timm_cnn:TimmCNN",
        1_499_320,
        "ConvNeXt on planar images as pictures, down to cells of 16 dates by 16 positions.",
        "Liu et al., CVPR 2022, arXiv 2201.03545",
        network="convnext_atto",
    ),
    _baseline(
        "utae",
        "utae:UTAE",
        1_072_128,
        "U-Net over space with light attention over time at its lowest level.",
        "Garnot and Landrieu, ICCV 2021, arXiv 2107.07933",
        form="chip",
    ),
    _baseline(
        "conv_lstm",
        "conv_lstm:ChipConvLSTM",
        486_656,
        "LSTM whose gates look at neighbours, two layers of 64.",
        "Shi et al., NeurIPS 2015, arXiv 1506.04214; sizes of Chelali et al., CVIU 2021",
        form="chip",
    ),
    _baseline(
        "presto",
        "presto:PrestoEncoder",
        404_160,
        "Masked autoencoder's encoder on twelve months of each pixel; its weights come by import.",
        "Tseng et al., arXiv 2304.14065",
    ),
    Card(
        name="deepstar_cviu2021",
        kind="backbones",
        target="sits_models.backbones.deepstar:DeepSTaR",
        summary="SqueezeNet 1.1 on a square canvas of three bands; its recipe is cviu2021.",
        paper="Chelali et al., CVIU 208-209 (2021) 103221",
        parameters=722_496,
    ),
    Card(
        name="regular_dates",
        kind="backbones",
        target="sits_models.backbones.regular:RegularDates",
        summary="Another backbone (of) on series interpolated to every 10 days.",
        paper="after Inglada et al., Remote Sensing 9(1) 95, 2017",
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
