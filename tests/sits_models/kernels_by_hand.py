"""Run the Triton kernels on fresh random inputs and compare them with what they stand in for.

`python kernels_by_hand.py SEED DEVICE`; on a CPU under TRITON_INTERPRET=1.
"""

import itertools
import sys

import numpy as np
import torch

from sits_data.orders import WalkKey, WalkLaw, neighbours, random_walks, spectral
from sits_data.planar import gather
from sits_models.data.residence import table_of_arrays
from sits_models.data.table import PixelTable
from sits_models.ops import device as device_module
from sits_models.ops import gather as gather_module
from sits_models.ops import kernels
from sits_models.ops import walks as walks_module
from sits_models.ops.gather import decode, planar_batch
from sits_models.ops.walks import random_walks as walks_of_table


def make_table(draws: np.random.Generator, device: str) -> PixelTable:
    sizes = draws.integers(1, 40, 6)
    outlines = [
        np.argwhere(draws.random((8, 8)) < 0.6).astype(np.int32)[: max(1, size)] for size in sizes
    ]
    sizes = np.array([len(one) for one in outlines])
    rows, dates, bands = int(sizes.sum()), int(draws.integers(1, 12)), int(draws.integers(1, 13))
    shape = rows, dates, bands
    pixels = (draws.random(shape) < 0.95) * draws.integers(1, 65536, shape)
    return table_of_arrays(
        pixels.astype(np.uint16),
        draws.integers(0, 256, (rows, dates)).astype(np.uint8),
        np.concatenate(outlines),
        np.cumsum(sizes) - sizes,
        dates=np.arange(dates, dtype=np.int32) * 5,
        bands=tuple(f"b{n}" for n in range(bands)),
        scale=1e-4,
        offset=-0.1,
        unclear_bits=3,
        resolution_m=10,
        curves={},
        device=device,
    )


def check_gather(draws: np.random.Generator, table: PixelTable) -> None:
    """Against its torch twin to the bit, and against the NumPy definition."""
    place = table.device
    regions = torch.from_numpy(draws.integers(0, len(table), 5)).to(place)
    index = torch.from_numpy(draws.integers(-1, 50, (5, 37))).to(place)
    index = torch.where(index < table.size[regions, None], index, -1)
    times = torch.from_numpy(draws.integers(-1, int(table.dated[0]), (5, 9))).to(place)
    gain, bias = (
        torch.from_numpy(draws.random((5, len(table.bands)), np.float32)).to(place) for _ in range(2)
    )
    first, dated = table.first_cell[regions], table.dated[table.calendar[regions]]
    image, clear = kernels.decode_cells(
        table.pixels[0], table.qa[0], first, dated, index, times, gain, bias, unclear_bits=3
    )
    digits, quality = table.observations(regions, index.clamp(min=0), times.clamp(min=0))
    real = (index >= 0)[:, None] & (times >= 0)[..., None]
    expected, usable = decode(digits, quality, real, gain, bias, unclear_bits=3)
    assert torch.equal(clear, usable)
    torch.testing.assert_close(image, expected, rtol=1e-6, atol=1e-6)
    batch = planar_batch(table, regions, index)
    for number, region in enumerate(regions.tolist()):
        start, size = int(table.first_cell[region]), int(table.size[region])
        dates = int(table.dated[0])
        cells = table.pixels[0][start : start + size * dates].cpu().numpy().view(np.uint16)
        columns = gather(cells.reshape(size, dates, -1), index[number].cpu().numpy())
        values = np.where((columns == 0).any(0), 0, columns * np.float32(1e-4) - np.float32(0.1))
        np.testing.assert_allclose(batch["image"][number].cpu().numpy(), values, atol=1e-5)


def check_walks(draws: np.random.Generator, table: PixelTable, seed: int) -> None:
    """Index for index those of sits_data, under every law."""
    regions = torch.from_numpy(draws.integers(0, len(table), 4)).to(table.device)
    view = torch.from_numpy(draws.integers(0, 9, 4)).to(table.device)
    laws = itertools.product((4, 8), (None, 0.05), (True, False), ("stratified", "iid"))
    for connectivity, sigma, backtrack, starts in laws:
        law, length = WalkLaw(backtrack=backtrack, starts=starts), int(draws.integers(1, 14))
        found = walks_of_table(
            table, regions, length=length, run=seed, epoch=seed % 5 - 1, view=view, count=3, law=law,
            near=table.near(connectivity=connectivity, sigma=sigma),
        ).cpu()  # fmt: skip
        for number, region in enumerate(regions.tolist()):
            rows = slice(int(table.first_row[region]), int(table.first_row[region] + table.size[region]))
            near = neighbours(table.yx[rows].cpu().numpy(), connectivity=connectivity)
            if sigma is not None:
                near = spectral(near, table.spectra[rows].cpu().numpy(), sigma)
            key = WalkKey(seed, int(table.region_id[region]), seed % 5 - 1, int(view[number]))
            expected = random_walks(near, count=3, length=length, key=key, law=law)
            assert found[number].tolist() == expected.tolist(), (connectivity, sigma, law)


def main(seed: int, device: str) -> None:
    if device == "cpu":  # the interpreter: whatever asks gets the kernels
        for module in (device_module, gather_module, walks_module):
            module.runs_kernels = lambda _device: True
    draws = np.random.default_rng(seed)
    table = make_table(draws, device)
    check_gather(draws, table)
    check_walks(draws, table, seed)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
