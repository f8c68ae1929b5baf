"""Scenes whose metadata cannot be trusted, decided by their pixels."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sits_data.errors import UnreadableSource
from sits_data.pixeltest import Sample, offset_by_continuity, offset_by_darkness
from sits_data.scenes import Scene

PIXEL_TEST = "pixel-test"
"""The `offset_source` of a scene whose pixels decided."""

NEIGHBOURS = 12
"""How many scenes near in time are asked about one whose own pixels do not tell."""

THREADS = 8
"""Samples taken at once; most of their time is waiting."""


def settle_offsets(
    scenes: Sequence[Scene], suspects: Collection[str], look: Callable[[Scene], Sample]
) -> list[Scene]:
    """Decide the offsets of suspect scenes; the others stay as they are.

    First by each scene's own dark ground, then by the same ground on other days. Scenes that the
    first question decided help with the second. Where nobody can tell, the metadata's answer stays
    and `offset_source` says so.

    Args:
        scenes: of one cube.
        suspects: ids of those whose metadata may be wrong.
        look: takes a coarse sample of a scene, all of them on the same grid; it may raise
            `UnreadableSource`.

    Returns:
        The scenes in the order they came.
    """
    doubtful = [scene for scene in scenes if scene.id in suspects]
    if not doubtful:
        return list(scenes)
    samples = _Samples(look)
    with ThreadPoolExecutor(THREADS) as pool:
        told = dict(zip((s.id for s in doubtful), pool.map(samples.darkness, doubtful), strict=True))
    undecided = {name for name, offset_dn in told.items() if offset_dn is None}
    settled = [_decided(scene, told.get(scene.id)) for scene in scenes]
    known = [scene for scene in settled if scene.id not in undecided]
    return [
        _by_neighbours(scene, known, samples) if scene.id in undecided else scene for scene in settled
    ]


class _Samples:
    """Samples that were taken; each scene is looked at once."""

    def __init__(self, look: Callable[[Scene], Sample]) -> None:
        self._look = look
        self._taken: dict[str, Sample | None] = {}

    def take(self, scene: Scene) -> Sample | None:
        """The sample of a scene; None when it cannot be read."""
        if scene.id not in self._taken:
            try:
                self._taken[scene.id] = self._look(scene)
            except UnreadableSource:
                self._taken[scene.id] = None
        return self._taken[scene.id]

    def darkness(self, scene: Scene) -> int | None:
        """What a scene's own pixels tell."""
        sample = self.take(scene)
        return None if sample is None else offset_by_darkness(sample)

    def near(self, scene: Scene, known: Sequence[Scene]) -> Iterator[tuple[Sample, int]]:
        """Samples of known scenes with their offsets, nearest in time first."""
        by_distance = sorted(known, key=lambda other: abs(other.datetime - scene.datetime))
        for other in by_distance[:NEIGHBOURS]:
            sample = self.take(other)
            if sample is not None:
                yield sample, other.offset_dn


def _by_neighbours(scene: Scene, known: Sequence[Scene], samples: _Samples) -> Scene:
    sample = samples.take(scene)
    if sample is None:
        return _undecided(scene, "pixels unreadable")
    offset_dn = offset_by_continuity(sample, samples.near(scene, known))
    return _undecided(scene, "pixels undecided") if offset_dn is None else _decided(scene, offset_dn)


def _decided(scene: Scene, offset_dn: int | None) -> Scene:
    if offset_dn is None:
        return scene
    return scene.model_copy(update={"offset_dn": offset_dn, "offset_source": PIXEL_TEST})


def _undecided(scene: Scene, why: str) -> Scene:
    return scene.model_copy(update={"offset_source": f"{scene.offset_source}, {why}"})
