"""Units whose bands were left unread because too little was clear: which of them a mask would want."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sits_data.grid import BLOCK_PX
from sits_data.ledger import Unit
from sits_data.mask import QA, MaskName, clear_pixels
from sits_data.plan import CubePlan
from sits_data.units import chunk_of, read_chunk


def worth_reading(
    cube: Path, plan: CubePlan, units: Iterable[Unit], *, mask: MaskName, at_least: float
) -> set[Unit]:
    """Those of some unread units of which a mask leaves enough clear.

    Args:
        cube: the Zarr folder.
        plan: of the cube.
        units: that were left unread; `qa` and `scl` say what is there.
        mask: what counts as clear.
        at_least: fraction, 0 to 1; 0 wants all.
    """
    return {unit for unit in units if at_least <= 0 or _clear(cube, plan, unit, mask) >= at_least}


def _clear(cube: Path, plan: CubePlan, unit: Unit, mask: MaskName) -> float:
    """Clear fraction of an unread unit, 0 to 1."""
    height, width = plan.request.grid.shape
    block = (
        slice(0, min(BLOCK_PX, height - unit.row * BLOCK_PX)),
        slice(0, min(BLOCK_PX, width - unit.col * BLOCK_PX)),
    )

    def chunk(name: str) -> NDArray[np.uint8]:
        out = np.zeros((1, BLOCK_PX, BLOCK_PX), np.uint8)
        read_chunk(cube, name, chunk_of(name, unit), out)
        return np.asarray(out[0][block])

    qa = chunk("qa") & ~np.uint8(QA.NOT_READ)
    return float(clear_pixels(qa, chunk("scl"), mask).mean())
