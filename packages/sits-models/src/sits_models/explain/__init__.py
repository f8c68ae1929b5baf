"""Explain: what a classifier looked at, on which dates and where in each region."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import sits_models
from sits_data.errors import InvalidRequest
from sits_data.output import check_free, new_folder
from sits_data.store import PlanarStore
from sits_models import registry
from sits_models.bench.features import pick_device
from sits_models.bench.scores import class_names
from sits_models.checkpoint import ModelCard, check_card, load_backbone, load_head, read_card
from sits_models.data.residence import open_table
from sits_models.data.stores import open_one
from sits_models.errors import CheckpointMismatch
from sits_models.explain.files import write_csv, write_maps
from sits_models.explain.intruders import Verdict, judge_intruders, plant, two_clusters
from sits_models.explain.observe import how_to_observe, reading_of
from sits_models.explain.pictures import Within, draw_dates, draw_region
from sits_models.explain.regions import look, pixel_classes
from sits_models.explain.saliency import Classifier, How
from sits_models.explain.tables import (
    All,
    Line,
    join,
    most_mixed,
    named_otherwise,
    region_lines,
)
from sits_models.explain.temporal import Profiles, Rule

__all__ = ["Explained", "explain"]

ABOUT: Final = "explain.json"
REGIONS: Final = "regions.csv"
DATES: Final = "dates.csv"
_FORMAT = "sits-models explain"

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Explained:
    """What explain did.

    Args:
        out: the folder.
        how: saliency was found.
        regions: that were looked at.
        images: of them, that the classifier read.
        coverage: share of their pixels that an image shows, 0 … 1.
        otherwise: share of these that the map names otherwise than their region's label.
        kept: dates that a class is told by.
        dates: of the store.
        entropy: mean over pixels, 0 … 1.
        intruders: how well planted ones were found; None where none were asked for.
        seconds: that it took.
    """

    out: Path
    how: How
    regions: int
    images: int
    coverage: float
    otherwise: float
    kept: int
    dates: int
    entropy: float
    intruders: Verdict | None
    seconds: float

    def shown(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"out": self.out.name}


def explain(
    checkpoint: str | Path,
    store: str | Path,
    out: str | Path,
    *,
    regions: Sequence[int] = (),
    walks: float | None = None,
    order: str | None = None,
    length: int | None = None,
    rule: Rule = "otsu",
    quantile: float = 0.5,
    weighted: bool = True,
    figures: int = 6,
    intruders: int = 0,
    seed: int = 0,
    device: str | None = None,
    batch_size: int = 64,
    overwrite: bool = False,
    progress: bool = False,
) -> Explained:
    """Find what a classifier looked at in the regions of a store, and map it.

    Every image of a region, window or walk, gets its saliency for the class that it is named: Grad-CAM++
    of convolutional networks, attention weighted by gradients of a `PlanarViT`, the gradient of others.
    The folder holds:

    - `semantic.tif`: the class that the most salient images say of each pixel; 255 where none shows it.
    - `detail.tif`: how salient, how many images show it, entropy of the classes (0 … 1).
    - `regions.csv`: of each region label, name, probability, coverage, and the share named otherwise:
      large where a field holds something else, or the classifier is wrong.
    - `dates.csv` and `dates.png`: the mean profile of each class, and the dates that are worth keeping.
    - `region-N.png`: those of the largest share named otherwise, or those asked for.
    - `explain.json`: settings and figures.

    The folder appears whole or not at all.

    Args:
        checkpoint: of a classifier: what probe or finetune wrote.
        store: of one cube; its labels are compared with, where there are any.
        out: the folder to make.
        regions: positions in the store; none for all.
        walks: of each region, see `reading_of`.
        order: a curve, see `reading_of`.
        length: positions of an image, see `reading_of`.
        rule: which dates are worth keeping, see `Profiles.kept`.
        quantile: of the rule of that name.
        weighted: multiply saliency by the probability of the class.
        figures: of single regions, where none are asked for.
        intruders: plant pieces of other fields into so many regions, and tell how well the map finds
            them; 0 for none. The store is read only.
        seed: of walks and intruders.
        device: such as `cpu` or `cuda`; None takes a GPU where there is one.
        batch_size: images at once.
        overwrite: replace what an earlier explain wrote.
        progress: draw a bar on stderr.

    Raises:
        NotACheckpoint, CheckpointMismatch: the checkpoint cannot be used, or not on this store.
        NotAStore, DamagedStore: there is nothing to read.
        InvalidRequest, InvalidConfig: no such region or curve, or too little to plant intruders in.
        OutputExists, OutputNotWritable: there is nowhere to write.
        MissingDevice: the device is not there.
    """
    started, out = time.perf_counter(), Path(out)
    check_free(out, _WHAT, _is_one, overwrite=overwrite)
    opened, card = open_one(store), read_card(checkpoint)
    check_card(card, bands=opened.manifest.bands, resolution_m=opened.manifest.grid.resolution_m)
    if card.backbone_arguments.get("each"):
        raise InvalidRequest(
            f"explain reads classifiers that name a region once, {checkpoint} compares each period with "
            "the one before; train one without --model.each"
        )
    target = pick_device(device)
    model = Classifier(load_backbone(checkpoint).to(target), load_head(checkpoint).to(target))
    reading = reading_of(
        card, registry.form_of(card.backbone, card.backbone_arguments),
        order=order, length=length, walks=walks, batch_size=batch_size, device=target, seed=seed,
    )  # fmt: skip
    how = how_to_observe(model.backbone)
    chosen = _chosen(opened, regions)
    table = open_table(opened, resident="always" if intruders else "auto")
    labels = _labels(opened, card)
    profiles = Profiles(len(card.classes), len(opened.dates))
    profiles.kept(rule, quantile=quantile)  # a wrong quantile stops before the work
    with tqdm(total=len(chosen), desc="explain", unit="region", disable=not progress) as bar:
        looked = join(
            look(model, table, chosen, reading=reading, how=how, profiles=profiles, weighted=weighted,
                 advance=bar.update)
        )  # fmt: skip
    verdict = None
    if intruders:
        planted = plant(table, intruders, seed=seed)
        spare = Profiles(len(card.classes), len(opened.dates))
        seen = join(
            look(model, planted.table, planted.regions, reading=reading, how=how, profiles=spare,
                 weighted=weighted)
        )  # fmt: skip
        own = np.repeat(labels[planted.regions], planted.size)
        each = pixel_classes(model, planted.table, planted.regions, reading=reading)
        verdict = judge_intruders(
            planted,
            seen.named != own,
            {
                "the same classifier on single pixels": each != own,
                "k-means": two_clusters(planted, seed=seed),
            },
            seed=seed,
        )
    kept = profiles.kept(rule, quantile=quantile)
    lines = list(region_lines(looked, card.classes, labels))
    done = Explained(
        out=out,
        how=how,
        regions=len(chosen),
        images=int(profiles.images.sum()),
        coverage=float((looked.visits > 0).mean()),
        otherwise=named_otherwise(looked, labels),
        kept=int(kept.sum()),
        dates=len(kept),
        entropy=float(np.nanmean(looked.entropy)) if not np.isnan(looked.entropy).all() else 0.0,
        intruders=verdict,
        seconds=round(time.perf_counter() - started, 3),
    )
    told = (
        f"{Path(checkpoint).name} ({card.backbone}, {_NAMES[how]}) on {opened.path.name} · "
        f"stripes: dates to keep by {rule}, {done.kept} of {done.dates}"
    )
    with new_folder(out, what=_WHAT, is_one=_is_one, overwrite=overwrite) as folder:
        write_maps(folder, opened, table, card.classes, looked)
        write_csv(folder / REGIONS, lines)
        days = opened.dates.astype("datetime64[D]").astype(str)
        mean, names = profiles.mean, class_names(card.classes)
        write_csv(
            folder / DATES,
            [
                {"date": day, "kept": int(kept[number])}
                | {name: f"{one:.6g}" for name, one in zip(names, mean[:, number], strict=True)}
                for number, day in enumerate(days)
            ],
        )
        draw_dates(
            folder / "dates.png", dates=opened.dates, classes=card.classes, mean=mean,
            images=profiles.images, kept=kept, told=told,
        )  # fmt: skip
        for within in _pictured(looked, lines, regions or most_mixed(lines, figures)):
            draw_region(folder / f"region-{within.region}.png", opened, card.classes, within, kept=kept)
        settings = {
            "checkpoint": str(checkpoint), "store": str(store), "walks": walks, "order": order,
            "length": reading.length, "rule": rule, "weighted": weighted, "seed": seed,
        }  # fmt: skip
        about = {"format": _FORMAT, "software": f"sits-models {sits_models.__version__}"}
        text = json.dumps(about | {"settings": settings} | done.shown(), indent=1) + "\n"
        (folder / ABOUT).write_text(text)
    return done


_WHAT = "what sits-models explain wrote"
_NAMES: dict[How, str] = {
    "gradcam++": "Grad-CAM++",
    "attention": "gradient-weighted attention",
    "gradient": "gradient of the score",
}


def _chosen(store: PlanarStore, regions: Sequence[int]) -> Numbers:
    wrong = [one for one in regions if not 0 <= one < len(store)]
    if wrong or not len(store):
        raise InvalidRequest(
            f"{store.path} has regions 0 to {len(store) - 1}, got {wrong or 'none'}; choose others with "
            "--region"
        )
    return np.unique(np.array(regions or range(len(store)), np.int64))


def _labels(store: PlanarStore, card: ModelCard) -> Numbers:
    """(R,) class of each region by the classifier's numbers, -1 = unlabelled or none of its classes."""
    number = {one.code: label for label, one in enumerate(card.classes)}
    known = np.array([number.get(one.code, -1) for one in store.manifest.classes] + [-1], np.int64)
    labels = known[store.labels]
    if store.manifest.classes and (labels < 0).all() and (store.labels >= 0).any():
        raise CheckpointMismatch(
            f"{store.path} and the checkpoint must share classes, they have none in common; give the "
            "store that it was trained on, or one with its codes"
        )
    return labels


def _pictured(looked: All, lines: Sequence[Line], regions: Sequence[int]) -> Iterator[Within]:
    ends = np.cumsum(looked.size)
    for region in regions:
        number = int(np.searchsorted(looked.regions, region))
        part, line = slice(ends[number] - looked.size[number], ends[number]), lines[number]
        yield Within(
            region=region,
            named=looked.named[part],
            strength=looked.strength[part],
            profile=looked.profile[number],
            told=f"named {line['named']} with probability {line['probability']:.2f} · "
            f"{line['otherwise']:.0%} of its pixels are named otherwise · "
            f"{line['coverage']:.0%} are shown in an image",
        )


def _is_one(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / ABOUT).read_bytes()).get("format") == _FORMAT)
    except (OSError, ValueError, AttributeError):
        return False
