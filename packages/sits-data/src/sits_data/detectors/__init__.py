"""Cloud detectors besides Sen2Cor's scene classification, by name; other packages add theirs.

A package says in its `pyproject.toml` which function makes a detector::

    [project.entry-points."sits_data.detectors"]
    my_clouds = "my_package.clouds:make"

`make` takes what stands after the name (`my_clouds:ARGUMENT`, else an empty text) and the `Target`, and
gives a `CloudDetector`. Nothing is imported until a name is asked for.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from sits_data.detectors.base import CloudDetector, DetectorFactory, Target, View
from sits_data.errors import InvalidRequest, MissingBand, UnknownDetector

__all__ = [
    "GROUP",
    "SCL",
    "CloudDetector",
    "DetectorFactory",
    "Target",
    "View",
    "detector_names",
    "make_detector",
]

GROUP: Final = "sits_data.detectors"

SCL: Final = "scl"
"""The scene classification, which every cube holds: a name beside those of detectors."""

_BUILT_IN: dict[str, str] = {
    "omnicloudmask": "sits_data.detectors.omnicloudmask:make",
    "s2cloudless": "sits_data.detectors.s2cloudless:make",
    "probability": "sits_data.detectors.rasters:make_probability",
    "classes": "sits_data.detectors.rasters:make_classes",
}


def detector_names() -> tuple[str, ...]:
    """`scl`, ours, then those of plug-ins."""
    others = {entry.name for entry in entry_points(group=GROUP)} - {SCL, *_BUILT_IN}
    return (SCL, *_BUILT_IN, *sorted(others))


def make_detector(text: str, target: Target) -> CloudDetector:
    """A detector from its name and argument, ready for a cube.

    Args:
        text: `NAME` or `NAME:ARGUMENT`, such as `probability:clouds.tif:0.4`.
        target: the cube.

    Raises:
        UnknownDetector: nothing of that name.
        DetectorUnavailable: what it needs is not installed.
        MissingBand: the cube lacks a band that it needs.
        InvalidRequest: its argument cannot be used.
    """
    name, _, argument = text.partition(":")
    detector = _factory(name)(argument, target)
    missing = [band for band in detector.bands if band not in target.bands]
    if missing:
        raise MissingBand(
            f"{name} needs {', '.join(detector.bands)}, this cube has no {', '.join(missing)}; "
            "build one with --bands, or use another --detector"
        )
    return detector


def _factory(name: str) -> DetectorFactory:
    if name == SCL:
        raise InvalidRequest(f"{SCL} is the classification in the cube and takes nothing after its name")
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        ours: DetectorFactory = getattr(import_module(module), attribute)
        return ours
    for entry in entry_points(group=GROUP, name=name):
        theirs: DetectorFactory = entry.load()
        return theirs
    known = detector_names()
    close: Sequence[str] = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UnknownDetector(f"no detector is called {name!r}; {hint}there are {', '.join(known)}")
