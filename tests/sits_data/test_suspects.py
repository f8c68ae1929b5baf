from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np

from sits_data.bands import SCL
from sits_data.errors import UnreadableSource
from sits_data.pixeltest import Sample
from sits_data.scenes import Scene
from sits_data.suspects import NEIGHBOURS, settle_offsets

SAYS = "metadata"


def scene(name: str, day: int, offset_dn: int = -1000) -> Scene:
    return Scene(
        id=name, datetime=datetime(2022, 2, 1, tzinfo=UTC) + timedelta(days=day), hrefs={}, crs=None,
        offset_dn=offset_dn, offset_source=SAYS, acquisition=name, version=(),
    )  # fmt: skip


class Land:
    """Samples by id: dark farmland or bright sand, holding an offset or not; counts the looks."""

    def __init__(self, **held: tuple[str, int] | None) -> None:
        self.held = held
        self.looks: Counter[str] = Counter()

    def __call__(self, scene: Scene) -> Sample:
        self.looks[scene.id] += 1
        known = self.held[scene.id]
        if known is None:
            raise UnreadableSource("gone")
        ground, held_dn = known
        level, scl = {"green": (300, SCL.VEGETATION), "sand": (2500, SCL.NOT_VEGETATED),
                      "cloud": (6000, SCL.CLOUD_HIGH)}[ground]  # fmt: skip
        dn = np.full((1, 20, 20), level + held_dn, np.uint16)
        return Sample(("B04",), dn, np.full((20, 20), scl, np.uint8))


def answers(scenes: list[Scene]) -> dict[str, tuple[int, str]]:
    return {s.id: (s.offset_dn, s.offset_source) for s in scenes}


def test_trusted_scenes_are_not_looked_at() -> None:
    land = Land(a=("green", 0))
    scenes = [scene("a", 0, 0)]
    assert settle_offsets(scenes, set(), land) == scenes
    assert settle_offsets(scenes, {"dropped"}, land) == scenes
    assert not land.looks


def test_dark_ground_decides_and_each_suspect_is_looked_at_once() -> None:
    land = Land(gone=("green", 0), held=("green", 1000), old=("green", 0))
    scenes = [scene("old", 0, 0), scene("gone", 5), scene("held", 10)]
    settled = settle_offsets(scenes, {"gone", "held"}, land)
    assert [s.id for s in settled] == ["old", "gone", "held"]
    assert answers(settled) == {
        "old": (0, SAYS), "gone": (0, "pixel-test"), "held": (-1000, "pixel-test"),
    }  # fmt: skip
    assert land.looks == {"gone": 1, "held": 1}


def test_sand_is_decided_by_trusted_sand() -> None:
    land = Land(old=("sand", 0), gone=("sand", 0), held=("sand", 1000), cloud=("cloud", 0))
    scenes = [scene("old", -30, 0), scene("gone", 5), scene("held", 10), scene("cloud", 6)]
    settled = answers(settle_offsets(scenes, {"gone", "held", "cloud"}, land))
    assert settled["gone"] == (0, "pixel-test")
    assert settled["held"] == (-1000, "pixel-test")
    assert settled["cloud"] == (-1000, f"{SAYS}, pixels undecided")
    assert set(land.looks.values()) == {1}


def test_suspects_that_know_themselves_help_the_others() -> None:
    """A green field in the sand: seen on one day, under cloud on the other."""
    land = Land(dark=("green", 0), sand=("sand", 0))
    scenes = [scene("dark", 0), scene("sand", 5)]

    def look(which: Scene) -> Sample:
        sample = land(which)
        if which.id == "dark":
            sample.dn[:, 5:], sample.scl[5:] = 2500, SCL.NOT_VEGETATED
        return sample

    assert answers(settle_offsets(scenes, {"dark", "sand"}, look)) == {
        "dark": (0, "pixel-test"), "sand": (0, "pixel-test"),
    }  # fmt: skip


def test_who_cannot_be_decided_keeps_the_metadata_and_says_so() -> None:
    land = Land(sand=("sand", 0), lost=None)
    settled = answers(settle_offsets([scene("sand", 0), scene("lost", 1)], {"sand", "lost"}, land))
    assert settled == {
        "sand": (-1000, f"{SAYS}, pixels undecided"), "lost": (-1000, f"{SAYS}, pixels unreadable"),
    }  # fmt: skip
    assert land.looks == {"sand": 1, "lost": 1}


def test_only_so_many_neighbours_are_asked_the_nearest_first() -> None:
    days = range(1, 2 * NEIGHBOURS)
    land = Land(x=("sand", 0), **{f"d{day}": ("cloud", 0) for day in days})
    scenes = [scene("x", 0), *(scene(f"d{day}", day, 0) for day in days)]
    settle_offsets(scenes, {"x"}, land)
    assert set(land.looks) == {"x", *(f"d{day}" for day in range(1, NEIGHBOURS + 1))}
