"""Days on which too little of the area is clear, found from the scene classification and left out."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize

from sits_data.aoi import features_frame
from sits_data.errors import EmptySearch
from sits_data.fill import How
from sits_data.grid import Window
from sits_data.mask import clear_pixels
from sits_data.plan import CubePlan, PlannedDay, Request
from sits_data.scenes import Dropped

WINDOW_PX = 2048
THREADS = 8


def screen_days(plan: CubePlan, how: How) -> CubePlan:
    """Leave out the days of a plan with less than `min_clear` clear over the features asked for.

    Args:
        plan: not frozen yet.
        how: how rasters are read.

    Returns:
        The plan without them; each of their scenes is among the dropped, with its day's fraction.

    Raises:
        EmptySearch: no day is left.
        UnreadableSource: a scene classification cannot be read.
    """
    request = plan.request
    if request.min_clear <= 0:
        return plan
    with ThreadPoolExecutor(THREADS) as pool:
        clear = list(pool.map(lambda day: _clear_fraction(day, request, how), plan.days))
    kept = [day for day, share in zip(plan.days, clear, strict=True) if share >= request.min_clear]
    if not kept:
        raise EmptySearch(
            f"no day is clear over {100 * request.min_clear:g} % of the area (the clearest over "
            f"{100 * max(clear):.1f} %); lower --min-clear"
        )
    dropped = [
        Dropped(scene.id, f"{100 * share:.1f} % of the area is clear")
        for day, share in zip(plan.days, clear, strict=True)
        if share < request.min_clear
        for scene in day.scenes
    ]
    return plan.model_copy(update={"days": tuple(kept), "dropped": (*plan.dropped, *dropped)})


def _clear_fraction(day: PlannedDay, request: Request, how: How) -> float:
    """Clear share of a day's pixels within the features, or of all where none are known."""
    clear = asked = 0
    for window in request.grid.windows(WINDOW_PX):
        inside = _inside(request, window)
        if inside.any():
            seen = how.read(request, day.scenes, window, ())
            clear += int((clear_pixels(seen.qa, seen.scl, request.min_clear_mask) & inside).sum())
            asked += int(inside.sum())
    return clear / max(asked, 1)


def _inside(request: Request, window: Window) -> NDArray[np.bool_]:
    """(y, x), True where a pixel's centre lies in a feature."""
    if not request.features:
        return np.ones((window.height, window.width), bool)
    outlines = features_frame(request.features).to_crs(request.grid.crs).geometry
    geobox = request.grid.window_geobox(window)
    burnt = rasterize(
        [(outline, 1) for outline in outlines], geobox.shape, transform=geobox.transform, dtype="uint8"
    )
    return np.asarray(burnt, bool)
