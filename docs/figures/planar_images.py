"""The figures of docs/planar-images.md: `python docs/figures/planar_images.py`.

Fields are made up, so that each shows one thing: 16 x 16 pixels, 24 dates of a year.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sits_data.orders import WalkKey, neighbours, order, random_walks, slice_through
from sits_data.plot.colour import Stretch, choose_stretch
from sits_data.plot.field import Field, draw_curve, draw_field, draw_planar
from sits_data.plot.page import QUIET, WIDTH_IN, new_page

SIDE, DATES = 16, 24
BANDS = ("B02", "B03", "B04", "B08")
YX = np.argwhere(np.ones((SIDE, SIDE))).astype(np.int32)
DAYS = (np.datetime64("2021-01-08", "D").astype(int) + np.arange(DATES) * 15).astype(np.int32)

# Reflectance of blue, green, red and near infrared in winter and at the height of summer.
MEADOW = (0.05, 0.07, 0.07, 0.18), (0.03, 0.07, 0.03, 0.45)
TREE = (0.03, 0.04, 0.04, 0.12), (0.02, 0.04, 0.02, 0.33)
SOIL = (0.08, 0.11, 0.14, 0.19), (0.09, 0.12, 0.16, 0.22)
CLOUD = (0.55, 0.56, 0.57, 0.60)


def main(folder: Path) -> None:
    """Draw all of them."""
    scenes(folder / "planar-scenes.png")
    directions(folder / "planar-orchard.png")


def scenes(out: Path) -> None:
    """A cloud, a tree in a meadow, rows of an orchard: what each leaves in a planar image."""
    meadow = np.zeros((SIDE, SIDE))
    tree = meadow.copy()
    tree[5:8, 9:12] = 1
    cloud = np.hypot(*(np.indices((SIDE, SIDE)) - np.array([5, 4])[:, None, None])) < 5.5
    fields = [
        (
            "A cloud", "one date, some of the pixels: a dash in one row",
            field("cloud", meadow, cloud=(11, cloud)), 11,
        ),
        (
            "A tree in a meadow", "some pixels, all dates: columns of their own",
            field("tree", tree), 6,
        ),
        (
            "Rows of an orchard", "pixels take turns: the same stripes on every date",
            field("orchard", orchard(across=True), soil=True), 11,
        ),
    ]  # fmt: skip
    side, gap, margin, top = 2.6, 1.05, 0.45, 1.35
    width = (WIDTH_IN - 2 * margin - 0.75 - 2 * gap) / 3
    stretch = _common_stretch([shown for _, _, shown, _ in fields])
    with new_page(WIDTH_IN, 6.6, 150) as page:
        page.heading(
            margin,
            "What a planar image shows",
            "above: the field on one date, with the Hilbert curve through its pixels · below: its "
            "planar image, a row a date, a column a pixel",
        )
        for column, (title, note, shown, date) in enumerate(fields):
            left = margin + 0.75 + column * (width + gap)
            vars(shown)["shown_date"] = date
            page.text(left, top - 0.1, title, size=12, bold=True)
            page.text(left, top + 0.12, note, size=9.5, colour=QUIET)
            axes = draw_field(page, (left, top + 0.25, side), shown)
            draw_curve(axes, shown, side)
            place = (left, top + 0.4 + side, width, 1.75)
            draw_planar(page, place, shown, stretch, label=True)
        page.save(out)


def directions(out: Path) -> None:
    """One orchard, and the same one turned: slices see another crop, walks do not."""
    margin, top, side, gap = 0.45, 1.35, 2.2, 0.35
    width = (WIDTH_IN - 2 * margin - side - 0.9 - 2 * gap) / 3
    key = WalkKey(run=1, region=0, epoch=-1, view=0)
    centre = SIDE // 2 * SIDE + SIDE // 2
    curves = {
        "x-t slice": (slice_through(YX, centre, "x"),),
        "y-t slice": (slice_through(YX, centre, "y"),),
        "three random walks": tuple(random_walks(neighbours(YX), count=3, length=24, key=key)),
    }
    with new_page(WIDTH_IN, 6.7, 150) as page:
        page.heading(
            margin,
            "Why walks and not rows",
            "the same orchard, its rows running west-east and north-south · a slice shows stripes or "
            "none, as it happens to lie; a walk meets both",
        )
        for row, across in enumerate((True, False)):
            shown = field("orchard", orchard(across=across), soil=True)
            vars(shown)["shown_date"] = 11
            stretch = _common_stretch([shown, field("meadow", np.zeros((SIDE, SIDE)))])
            y = top + row * (side + 0.55)
            axes = draw_field(page, (margin, y, side), shown)
            for parts in curves.values():
                breaks = np.cumsum([len(part) for part in parts])[:-1]
                draw_curve(axes, replace(shown, order=np.concatenate(parts)), side, breaks=breaks)
            for column, (name, parts) in enumerate(curves.items()):
                left = margin + side + 0.9 + column * (width + gap)
                if not row:
                    page.text(left, y - 0.1, name, size=11, bold=True)
                along = replace(shown, order=np.concatenate(parts), order_name=name)
                vars(along)["shown_date"] = 11
                place = (left, y, width, side - 0.2)
                draw_planar(page, place, along, stretch, label=False, dates=column == 0)
        page.save(out)


def _common_stretch(fields: list[Field]) -> Stretch:
    """One for all, so that colours mean the same in each."""
    positions = list(fields[0].false_colour.positions)
    pixels = np.concatenate([one.pixels[:, :, positions] for one in fields])
    return choose_stretch(pixels, np.concatenate([one.clear for one in fields]))


def orchard(*, across: bool) -> NDArray[np.float64]:
    """1 where trees stand: every third row, or column, is a row of crowns."""
    rows = np.repeat((np.arange(SIDE) % 3 == 1)[:, None], SIDE, axis=1).astype(float)
    rows[:, 5::6] *= 0.4  # a gap between crowns
    return rows if across else rows.T.copy()


def field(
    name: str,
    trees: NDArray[np.float64],
    *,
    soil: bool = False,
    cloud: tuple[int, NDArray[np.bool_]] | None = None,
) -> Field:
    """A meadow, or bare soil, with trees on it.

    Args:
        name: of the field.
        trees: (SIDE, SIDE) how much of each pixel is a tree.
        soil: what is between them is bare.
        cloud: date and place of one.
    """
    season = np.clip(np.sin((np.arange(DATES) - 4.5) / DATES * 2 * np.pi) * 0.75 + 0.45, 0, 1)
    ground, crown = (_series(kind, season) for kind in (SOIL if soil else MEADOW, TREE))
    share = trees.reshape(-1, 1, 1)
    values = ground * (1 - share) + crown * share
    values = values * (1 + np.random.default_rng(0).normal(0, 0.03, (SIDE**2, 1, 1)))
    clear = np.ones((SIDE**2, DATES), bool)
    if cloud is not None:
        date, place = cloud
        values[place.ravel(), date] = CLOUD
        clear[place.ravel(), date] = False
    return Field(
        index=0,
        name=name,
        pixels=np.round((values + 0.1) * 10_000).astype(np.uint16),
        clear=clear,
        yx=YX,
        order=order("hilbert", YX),
        order_name="hilbert",
        dates=DAYS,
        bands=BANDS,
    )


def _series(
    kind: tuple[tuple[float, ...], tuple[float, ...]], season: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(DATES, bands) between winter and summer."""
    winter, summer = map(np.array, kind)
    return np.asarray(winter + (summer - winter) * season[:, None])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "images")
