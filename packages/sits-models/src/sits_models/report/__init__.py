"""The report: everything that some runs left behind, on one page to look at."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import sits_models
from sits_data.cube import RawCube, open_raw
from sits_data.errors import InvalidRequest, SitsDataError
from sits_data.manifest import LabelClass
from sits_data.output import write_atomically, writing_to
from sits_data.store import PlanarStore
from sits_models.bench.scores import SCORES
from sits_models.checkpoint import CARD
from sits_models.errors import NotARun
from sits_models.report.cards import CardView, RunLine, card_view, run_line
from sits_models.report.compared import BENCH, Compared, compare_bench, is_bench
from sits_models.report.embedding import Projection, project
from sits_models.report.findings import Finding
from sits_models.report.folder import (
    RunFolder,
    find_stores,
    is_run,
    read_folders,
    with_parents,
)
from sits_models.report.judgement import Judgement, Sides, judge, side_by_side
from sits_models.report.land import Timeline, timeline
from sits_models.report.looked_at import EXPLAINED, LookedAt, is_explained, looked_at
from sits_models.report.maps import MapView, view_map
from sits_models.report.top import Tile, bench_lead, bench_tiles, headline, lead, tiles
from sits_models.report.training import Training, trainings
from sits_models.report.views import View, planar_views
from sits_models.runs import RUN

__all__ = ["report"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """What the template shows; a section without anything is left out and said in `missing`.

    Args:
        views, judgements, projections: each with the name of its run.
        maps: each with the name of the run that drew it, empty where none noted it.
        sides: the judged runs beside each other, where there are several.
        benches: tables of models and floors.
        looked: what classifiers looked at.
        contents: anchor and title of each section that there is.
        missing: what is left out and how to get it.
        css: of the page.
    """

    title: str
    lead: Finding
    tiles: tuple[Tile, ...]
    runs: tuple[RunLine, ...]
    cards: tuple[CardView, ...]
    timelines: tuple[Timeline, ...]
    views: tuple[tuple[str, tuple[View, ...]], ...]
    trainings: tuple[Training, ...]
    judgements: tuple[tuple[str, Judgement], ...]
    sides: Sides | None
    benches: tuple[Compared, ...]
    looked: tuple[LookedAt, ...]
    maps: tuple[tuple[str, MapView], ...]
    projections: tuple[tuple[str, Projection], ...]
    contents: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    software: str
    written: str
    css: Markup


_SECTIONS: tuple[tuple[str, str, str], ...] = (
    ("clear", "How clear the dates are", "the planar store lies neither where it was nor near a run"),
    ("views", "What the model sees", "pretrain keeps views of its first batch"),
    ("training", "Training", "no run logged anything"),
    ("scores", "Scores", "sits-models probe and finetune make them"),
    ("compared", "Models compared", ""),
    ("looked", "What it looked at", ""),
    ("map", "Map", "draw one with sits-models predict, then give it with --map"),
    ("embedding", "Embeddings", "pretrain keeps them when it ends"),
)  # fmt: skip
"""Of each optional section, in the order of the page: anchor, title, what a run misses without it."""


def report(
    runs: Sequence[Path | str],
    out: Path | str,
    *,
    maps: Sequence[Path | str] = (),
    cube: Path | str | None = None,
) -> Path:
    """Put what runs left behind on one page: data, views, curves, scores, maps, embeddings.

    The page is one HTML file without scripts that loads nothing; what is not there is left out and
    named at its end. A model that does not beat a floor is said not to, in words.

    Args:
        runs: run folders of pretrain, probe and finetune, in the order of the page, and folders of
            bench and explain. Runs and explanations within them, runs that training began with, and maps
            that predict has noted there, come along.
        out: the page, `NAME.html`; one that is there is replaced.
        maps: more maps.
        cube: that was mapped, to show the land beside the maps; by default the noted one.

    Returns:
        Where the page is.

    Raises:
        NotARun, NotACheckpoint: a folder is no run, or a file in it is damaged.
        InvalidRequest: no run, `out` is not named like a page, or a map is none.
        NotACube: `cube` is none.
        OutputNotWritable: no permission, or the disk is full.
    """
    out = Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise InvalidRequest(f"the report is a page, {out} is not named so; use --out NAME.html")
    if not runs:
        raise InvalidRequest("a report shows at least one run, got none; give the folders of some")
    given = list(dict.fromkeys(map(Path, runs)))
    benches = [one for one in given if is_bench(one)]
    told = [one for one in given if is_explained(one)]
    others = [one for one in given if one not in (*benches, *told)]
    _check(others)
    folders = with_parents(read_folders(others))
    told += [file.parent for one in folders for file in sorted(one.path.glob(f"*/{EXPLAINED}"))]
    page = _page(
        folders,
        list(map(Path, maps)),
        cube,
        benches=tuple(map(compare_bench, benches)),
        looked=tuple(map(looked_at, dict.fromkeys(told))),
    )
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    html = environment.get_template("page.html.jinja").render(page=page)
    with writing_to(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, html.encode())
    return out


def _check(folders: Sequence[Path]) -> None:
    """Stop where a folder is nothing that can be shown; the message names all that could be."""
    for folder in folders:
        if not is_run(folder):
            raise NotARun(
                f"{folder} is neither a run ({RUN}, {CARD} or {SCORES}) nor a bench ({BENCH}) nor an "
                f"explanation ({EXPLAINED}); give what --out named"
            )


def _page(
    folders: list[RunFolder],
    maps: list[Path],
    cube: Path | str | None,
    *,
    benches: tuple[Compared, ...],
    looked: tuple[LookedAt, ...],
) -> Page:
    stores = {
        folder.path: find_stores(folder, [one for one in folders if one is not folder])
        for folder in folders
    }
    judgements = tuple(
        (folder.name, found) for folder in folders if folder.scores and (found := judge(folder.scores))
    )
    judged = [one for _, one in judgements]
    timelines = tuple(
        map(timeline, {one.path.resolve(): one for found in stores.values() for one in found}.values())
    )
    views = tuple(
        (folder.name, seen)
        for folder in folders
        if folder.views and (seen := planar_views(folder.views))
    )
    curves = tuple(trainings(folders))
    map_views = tuple(_maps(folders, maps, cube, stores))
    projections = tuple(_projections(folders, stores))
    parts = (timelines, views, curves, judgements, benches, looked, map_views, projections)
    shown = list(map(bool, parts))
    left_out = [
        f"{title}: {how}."
        for (_, title, how), there in zip(_SECTIONS, shown, strict=True)
        if folders and how and not there
    ]
    left_out += [f"{one.name}: {what}." for _, one in map_views for what in one.missing]
    left_out += [f"{one.name}: {what}." for one in benches for what in one.missing]
    names = [*(one.name for one in benches), *(one.name for one in looked)]
    return Page(
        title=headline(folders, judged) if folders else " and ".join(names),
        lead=lead(judgements) if judged or not benches else bench_lead(benches),
        tiles=tiles(folders, judged) if judged or not benches else bench_tiles(benches),
        runs=tuple(map(run_line, folders)),
        cards=tuple(card_view(folder.name, folder.card) for folder in folders if folder.card),
        timelines=timelines,
        views=views,
        trainings=curves,
        judgements=judgements,
        sides=side_by_side(judgements),
        benches=benches,
        looked=looked,
        maps=map_views,
        projections=projections,
        contents=(
            *((("runs", "Runs and data"),) if folders else ()),
            *((anchor, title) for anchor, title, _ in compress(_SECTIONS, shown)),
        ),
        missing=tuple(left_out),
        software=f"sits-models {sits_models.__version__}",
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        css=Markup((_HERE / "page.css").read_text()),
    )


def _maps(
    folders: Sequence[RunFolder],
    given: Iterable[Path],
    cube: Path | str | None,
    stores: Mapping[Path, Sequence[PlanarStore]],
) -> Iterator[tuple[str, MapView]]:
    """The given maps, then the noted ones; each with the labels of its run before those of others."""
    noted = {path.resolve(): (folder, of) for folder in folders for path, of in folder.maps.items()}
    chosen = None if cube is None else open_raw(cube)
    every = [store for found in stores.values() for store in found]
    for path in dict.fromkeys([*(path.resolve() for path in given), *noted]):
        folder, mapped = noted.get(path, (None, None))
        own = stores[folder.path] if folder else []
        yield (
            folder.name if folder else "",
            view_map(path, stores=[*own, *every], cube=chosen or _open(mapped)),
        )


def _open(cube: Path | None) -> RawCube | None:
    """A cube that may have been moved since."""
    try:
        return None if cube is None else open_raw(cube)
    except SitsDataError:
        return None


def _projections(
    folders: Sequence[RunFolder], stores: Mapping[Path, Sequence[PlanarStore]]
) -> Iterator[tuple[str, Projection]]:
    for folder in folders:
        if folder.embedding is None:
            continue
        named = str(folder.card.data[0].get("store")) if folder.card and folder.card.data else ""
        classes: tuple[LabelClass, ...] = next(
            (one.manifest.classes for one in stores[folder.path] if one.path.name == Path(named).name),
            (),
        )
        projection = project(folder.embedding, classes)
        if projection is not None:
            yield folder.name, projection
