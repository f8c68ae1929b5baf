"""Quicklooks: cubes and planar stores as PNG, good enough for a talk."""

from dataclasses import dataclass
from pathlib import Path

from sits_data.cube import open_raw
from sits_data.describe import recognise
from sits_data.errors import InvalidRequest
from sits_data.mask import MaskName
from sits_data.orders import OrderName
from sits_data.plot.cube import plot_cube
from sits_data.plot.store import Layout, plot_store
from sits_data.store import open_store

__all__ = ["Layout", "Look", "plot", "plot_cube", "plot_store"]


@dataclass(frozen=True)
class Look:
    """What a picture shows; None leaves the choice to `plot_cube` and `plot_store`.

    Args:
        dates, mask: for cubes only.
        regions, order, layout: for stores only.
        dpi: dots per inch.
    """

    dates: int | None = None
    mask: MaskName | None = None
    regions: tuple[int, ...] = ()
    order: OrderName | None = None
    layout: Layout | None = None
    dpi: int = 150

    def given(self, *names: str) -> list[str]:
        """Those of some choices that were made."""
        return [name for name in names if getattr(self, name)]


def plot(path: str | Path, out: str | Path, look: Look | None = None) -> Path:
    """Draw whatever lies at a path, a cube (finished or not) or a planar store.

    Args:
        path: the folder.
        out: the PNG; one that is there is replaced.
        look: what to show.

    Returns:
        Where the picture is.

    Raises:
        NotACube, NotAStore, DamagedStore: the path holds nothing that this version reads.
        InvalidRequest: the look does not fit what is there.
        OutputNotWritable: no permission, or the disk is full.
    """
    path, out, look = Path(path), Path(out), look or Look()
    if recognise(path) == "cube":
        _refuse(path, "cube", look.given("regions", "order", "layout"))
        cube = open_raw(path, allow_incomplete=True)
        plot_cube(cube, out, mask=look.mask or "standard", dates=look.dates, dpi=look.dpi)
    else:
        _refuse(path, "planar store", look.given("dates", "mask"))
        plot_store(
            open_store(path),
            out,
            regions=look.regions,
            order_name=look.order,
            layout=look.layout or "map",
            dpi=look.dpi,
        )
    return out


def _refuse(path: Path, what: str, given: list[str]) -> None:
    if given:
        option = "region" if given[0] == "regions" else given[0]
        raise InvalidRequest(f"{path} is a {what}, to which --{option} does not apply; leave it out")
