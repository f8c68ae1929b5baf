"""Several labels a region, such as what changed from each year to the next."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from sits_data.errors import InvalidRequest
from sits_data.store import PlanarStore
from sits_models.data.table import PixelTable


def with_targets(table: PixelTable, stores: Sequence[PlanarStore], columns: Sequence[str]) -> PixelTable:
    """The same pixels with a label from each of some columns of the regions.

    Args:
        table: of the stores, in their order; its classes are those that columns name by their codes.
        stores: whose regions have these columns, as the parcels' file had.
        columns: one a target; without any the table is left as it is.

    Raises:
        InvalidRequest: a store lacks a column, a code is none of the classes', or labels are those of
            pixels.
    """
    if not columns:
        return table
    if table.pixel_label is not None:
        raise InvalidRequest(
            f"targets are columns of regions, {stores[0].path} has labels of pixels; planarize it with "
            "--label-field"
        )
    number = {str(one.code): label for label, one in enumerate(table.classes)}
    found = [np.concatenate([_labels(store, name, number) for store in stores]) for name in columns]
    return replace(table, targets=torch.from_numpy(np.stack(found, axis=1)).to(table.device))


def _labels(
    store: PlanarStore, name: str, number: dict[str, int]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(R,) labels by a column of class codes, -1 where it is null."""
    if name not in store.regions.column_names:
        raise InvalidRequest(
            f"a target is a column of the regions of {store.path}, {name} is none of "
            f"{', '.join(store.regions.column_names)}"
        )
    codes = store.regions[name].to_pandas()
    known = codes.notna()
    texts = codes[known].map(_code)
    if missing := sorted(set(texts) - set(number)):
        raise InvalidRequest(
            f"targets have the classes of the store, {', '.join(number)}; the column {name} of "
            f"{store.path} names {', '.join(missing[:3])}"
        )
    labels = np.full(len(codes), -1)
    labels[known] = texts.map(number)
    return labels


def _code(value: object) -> str:
    """A column with gaps holds 1 as 1.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
