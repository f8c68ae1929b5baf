"""An index: its formula, the bands of Sentinel-2 that it needs, and its constants."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import spyndex
from numpy.typing import NDArray

from sits_data.bands import BANDS
from sits_data.errors import InvalidRequest, MissingBand

BAND_OF_SYMBOL = {
    "A": "B01", "B": "B02", "G": "B03", "R": "B04", "RE1": "B05", "RE2": "B06", "RE3": "B07",
    "N": "B08", "N2": "B8A", "WV": "B09", "S1": "B11", "S2": "B12",
}  # fmt: skip
"""Sentinel-2 bands by their symbols in formulas. Source: spyndex's table of bands."""

_WAVELENGTHS_NM = {
    f"lambda{symbol}": BANDS[band].wavelength_nm for symbol, band in BAND_OF_SYMBOL.items()
}


@dataclass(frozen=True)
class Index:
    """A spectral index; call it with the reflectance of its bands.

    Args:
        name: as spyndex spells it.
        long_name, formula, reference: as spyndex has them.
        symbols: of its bands in the formula.
        constants: values of the formula's other letters.
    """

    name: str
    long_name: str
    formula: str
    reference: str
    symbols: tuple[str, ...]
    constants: Mapping[str, float]

    @property
    def bands(self) -> tuple[str, ...]:
        """Canonical ids of the bands that it needs, in the order of the call."""
        return tuple(BAND_OF_SYMBOL[symbol] for symbol in self.symbols)

    @property
    def attributes(self) -> dict[str, Any]:
        """CF attributes of its values."""
        return {
            "long_name": self.long_name,
            "units": "1",
            "formula": self.formula,
            "bands": " ".join(f"{s}={b}" for s, b in zip(self.symbols, self.bands, strict=True)),
            "constants": " ".join(f"{name}={value:g}" for name, value in self.constants.items()),
            "references": self.reference,
        }

    def __call__(self, *reflectance: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values for the reflectance of each of `bands`: float32, NaN where the formula has none."""
        letters = {**dict(zip(self.symbols, reflectance, strict=True)), **self.constants}
        with np.errstate(all="ignore"):
            values = spyndex.computeIndex(self.name, letters)
        finite = np.where(np.isfinite(values), values, np.float32(np.nan))
        return np.asarray(np.broadcast_to(finite, reflectance[0].shape), np.float32)


def find_indices(
    names: Sequence[str], bands: Sequence[str], constants: Mapping[str, float]
) -> tuple[Index, ...]:
    """Look indices up and check that a cube's bands suffice.

    Args:
        names: such as `NDVI`, in any case, each once.
        bands: canonical ids of the cube.
        constants: other values than those of spyndex.

    Raises:
        InvalidRequest: an index or a constant does not exist, or an index needs more than Sentinel-2
            bands.
        MissingBand: an index needs a band that the cube lacks.
    """
    if not names:
        raise InvalidRequest("name at least one index, such as NDVI")
    known = {name.lower(): name for name in spyndex.indices}
    found = []
    for name in names:
        if name.lower() not in known:
            near = difflib.get_close_matches(name.lower(), known, n=3)
            hint = f"did you mean {', '.join(known[one] for one in near)}?" if near else "try NDVI"
            raise InvalidRequest(f"spyndex has no index {name!r}; {hint}")
        index = _make_index(known[name.lower()], constants)
        lacking = [band for band in index.bands if band not in bands]
        if lacking:
            raise MissingBand(
                f"{index.name} needs {', '.join(index.bands)}, the cube lacks {', '.join(lacking)}; "
                f"build one with --bands {','.join(sorted({*bands, *index.bands}))}"
            )
        found.append(index)
    if len(set(found_names := [index.name for index in found])) < len(found):
        raise InvalidRequest(f"an index is named twice in {', '.join(found_names)}; name each once")
    unused = set(constants).difference(*(index.constants for index in found))
    if unused:
        used = {letter for index in found for letter in index.constants}
        raise InvalidRequest(
            f"no index asked for has a constant {', '.join(sorted(unused))}; "
            + (f"they have {', '.join(sorted(used))}" if used else "they have none")
        )
    return tuple(found)


def _make_index(name: str, constants: Mapping[str, float]) -> Index:
    found = spyndex.indices[name]
    symbols = tuple(letter for letter in found.bands if letter in BAND_OF_SYMBOL)
    values = {}
    for letter in found.bands:
        if letter in symbols:
            continue
        default = spyndex.constants[letter].default if letter in spyndex.constants else None
        value = constants.get(letter, _WAVELENGTHS_NM.get(letter, default))
        if value is None:
            constant = letter in spyndex.constants
            raise InvalidRequest(
                f"{name} needs the constant {letter}, which has no usual value; give it with --constant "
                f"{letter}=VALUE"
                if constant
                else f"{name} needs {letter}, which Sentinel-2 does not measure; choose another index"
            )
        values[letter] = float(value)
    if not symbols:
        raise InvalidRequest(f"{name} needs no band of Sentinel-2; choose another index")
    return Index(name, found.long_name, found.formula, found.reference, symbols, values)
