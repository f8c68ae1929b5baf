"""How often the pixel test is right: `python -m benchmarks.radiometry --seeds 20`.

Simulated catalogues after January 2022, a quarter of their scenes flagged wrongly and half flagged
rightly in the same way, under snow or none; and their samples turned to desert, bright in every band.
`--real` adds folders of real scenes from before baseline 04.00, of which every other one is taken for
suspect, its numbers as they are or 1000 higher. Prints a table of docs/results/radiometry.md.

`rule` is the plain one: the offset is gone when the 0.5 % quantile of a band is below 1000.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np

from sits_data.aoi import read_aoi
from sits_data.bands import DN_SHIFT, SCL
from sits_data.grid import cube_grid
from sits_data.pixeltest import TAIL, TEST_BANDS, Sample
from sits_data.plan import CubePlan, Request
from sits_data.planning import plan_cube
from sits_data.rasters import RasterReader
from sits_data.sampling import sample_pixels
from sits_data.scenes import Scene
from sits_data.simulate import simulate_catalog
from sits_data.suspects import PIXEL_TEST, settle_offsets

GROUND = (SCL.VEGETATION, SCL.NOT_VEGETATED, SCL.WATER, SCL.SNOW)
OVERCAST = 0.1
"""A scene of which less is classified as ground is overcast: up to 0.08 is cloud taken for snow."""

DESERT_FLOOR = np.array([0.12, 0.22, 0.40])
"""Of the bands in `TEST_BANDS`: bright sand, and no shadow is darker."""

COMPANY, SKY = ("beside trusted scenes", "alone"), ("clear", "overcast")


@dataclass(frozen=True)
class Looked:
    """A scene as its metadata has it, its sample, and the offset that its numbers really hold."""

    scene: Scene
    sample: Sample
    truth_dn: int
    suspect: bool

    @property
    def sky(self) -> str:
        """Whether anything of the ground is seen."""
        seen = self.sample.scl[self.sample.scl != 0]
        return "clear" if np.isin(seen, GROUND).mean() >= OVERCAST else "overcast"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    grounds: dict[str, list[list[Looked]]] = {"farmland": [], "farmland, snow": [], "desert": []}
    for seed in range(arguments.seeds):
        for snow in (False, True):
            looked = list(simulated(seed, snow=snow))
            grounds["farmland, snow" if snow else "farmland"].append(looked)
            if not snow:
                grounds["desert"].append([deserted(one) for one in looked])
    for folder in arguments.real:
        for kept in (0, -DN_SHIFT):
            grounds.setdefault("real", []).append(list(real(folder, kept)))
    print("| ground | company | sky | suspect scenes | metadata wrong | rule wrong | right | wrong "
          "| undecided | of these wrong |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name, catalogues in grounds.items():
        for company, sky in product(COMPANY, SKY):
            counts = sum(score(looked, company, sky) for looked in catalogues)
            print("|", " | ".join([name, company, sky, *map(str, np.atleast_1d(counts))]), "|")


def simulated(seed: int, *, snow: bool) -> Iterator[Looked]:
    """Samples of a simulated catalogue that lies after January 2022."""
    with tempfile.TemporaryDirectory() as folder:
        made = simulate_catalog(
            Path(folder) / "land", seed=seed, size_px=120, start=date(2022, 2, 1), end=date(2023, 4, 15),
            dates=40, wrong_flags=True, snow=snow,
        )  # fmt: skip
        truth = json.loads((made.truth / "offsets.json").read_text())
        plan = _plan(made.catalog, made.aoi)
        for scene in plan.scenes:
            sample = sample_pixels(scene, plan.request.grid, TEST_BANDS, reader=RasterReader())
            suspect = scene.offset_source.rpartition(":")[2] != "boa_offset_applied"
            as_flagged = scene.model_copy(update={"offset_dn": -DN_SHIFT}) if suspect else scene
            yield Looked(as_flagged, sample, truth[scene.id], suspect)


def deserted(looked: Looked) -> Looked:
    """The same scene over bright sand."""
    sample, shift = looked.sample, -looked.truth_dn
    reflectance = (sample.dn.astype(float) - shift) / 10_000
    bright = DESERT_FLOOR[:, None, None] + 0.7 * reflectance
    dn = np.where(sample.dn == 0, 0, np.rint(bright * 10_000) + shift).astype(np.uint16)
    scl = np.where(sample.scl == SCL.VEGETATION, SCL.NOT_VEGETATED, sample.scl).astype(np.uint8)
    return replace(looked, sample=Sample(sample.bands, dn, scl))


def real(folder: Path, kept_dn: int) -> Iterator[Looked]:
    """Samples of real scenes without an offset; every other one suspect, holding `kept_dn`."""
    plan = _plan(folder / "catalog.json", folder / "aoi.geojson")
    for number, scene in enumerate(plan.scenes):
        suspect = number % 2 == 1
        sample = sample_pixels(scene, plan.request.grid, TEST_BANDS, reader=RasterReader())
        if suspect:
            raised = np.where(sample.dn == 0, 0, sample.dn - np.int32(kept_dn)).astype(np.uint16)
            sample = Sample(sample.bands, raised, sample.scl)
            scene = scene.model_copy(update={"offset_dn": -DN_SHIFT})
        yield Looked(scene, sample, kept_dn if suspect else 0, suspect)


def score(looked: Sequence[Looked], company: str, sky: str) -> np.ndarray:
    """Counts of one catalogue: the columns of the table from the fourth on."""
    asked = [one for one in looked if one.suspect]
    scenes = [one.scene for one in (asked if company == "alone" else looked)]
    samples = {one.scene.id: one.sample for one in looked}
    settled = settle_offsets(scenes, {one.scene.id for one in asked}, lambda s: samples[s.id])
    found = {scene.id: scene for scene in settled}
    counts = np.zeros(7, int)
    for one in asked:
        if one.sky != sky:
            continue
        answer = found[one.scene.id]
        wrong, decided = answer.offset_dn != one.truth_dn, answer.offset_source == PIXEL_TEST
        counts += [
            1, one.truth_dn != one.scene.offset_dn, _plain_rule(one.sample) != one.truth_dn,
            decided and not wrong, decided and wrong, not decided, not decided and wrong,
        ]  # fmt: skip
    return counts


def _plain_rule(sample: Sample) -> int:
    tails = [np.quantile(band[band != 0], TAIL) for band in sample.dn if band.any()]
    return 0 if tails and min(tails) < DN_SHIFT else -DN_SHIFT


def _plan(catalog: Path, aoi: Path) -> CubePlan:
    return plan_cube(
        Request(
            catalog=str(catalog), collection="sentinel-2-l2a", start=date(2017, 1, 1),
            end=date(2024, 12, 31), bands=TEST_BANDS, grid=cube_grid(read_aoi(str(aoi)), 10),
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
