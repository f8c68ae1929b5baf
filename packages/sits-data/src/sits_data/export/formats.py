"""How planar images are laid on disk: a file a region, one Zarr group, tar shards, or pictures."""

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import zarr
from numpy.typing import NDArray
from PIL import Image

from sits_data.export.images import Layout, PlanarImage

Format = Literal["npz", "zarr", "webdataset", "png"]

_SHARD = 256
_SHARD_BYTES = 256_000_000


class Writer(Protocol):
    """Takes the images of one region after another."""

    def write(self, images: Sequence[PlanarImage]) -> None:
        """Write all images of a region."""

    def close(self) -> None:
        """Write what is left."""


class Npz:
    """`region-000012.npz`: `image` (K, C, T, L), `clear` (K, T, L), `index` (K, L) and `label`."""

    def __init__(self, folder: Path, _: Layout) -> None:
        self.folder = folder

    def write(self, images: Sequence[PlanarImage]) -> None:
        """One file."""
        first = images[0]
        np.savez_compressed(
            self.folder / f"{_region(first)}.npz",
            image=np.stack([one.image for one in images]),
            clear=np.stack([one.clear for one in images]),
            index=np.stack([one.index for one in images]),
            label=np.int64(first.label),
        )

    def close(self) -> None:
        """Nothing is left."""


class Tar:
    """WebDataset, `shard-000000.tar`: `image.npy`, `clear.npy`, `index.npy` and `json` of each key."""

    def __init__(self, folder: Path, _: Layout) -> None:
        self.folder, self.count = folder, 0
        self.tar: tarfile.TarFile | None = None

    def write(self, images: Sequence[PlanarImage]) -> None:
        """Append; a new shard every 256 images."""
        for one in images:
            if self.count % _SHARD == 0:
                self.close()
                name = f"shard-{self.count // _SHARD:06}.tar"
                self.tar = tarfile.open(self.folder / name, "w")  # noqa: SIM115
            about = {"region": one.region, "number": one.number, "label": one.label}
            parts = {"image.npy": one.image, "clear.npy": one.clear, "index.npy": one.index}
            for suffix, values in parts.items():
                self._add(f"{_key(one)}.{suffix}", _npy(values))
            self._add(f"{_key(one)}.json", json.dumps(about).encode())
            self.count += 1

    def close(self) -> None:
        """End the shard."""
        if self.tar is not None:
            self.tar.close()

    def _add(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # its time is 0: the same images, the same bytes
        member.size = len(data)
        assert self.tar is not None
        self.tar.addfile(member, io.BytesIO(data))


class Group:
    """`images.zarr`, Zarr v3: `image` (N, C, T, L), `clear` (N, T, L), `index` (N, L); one a chunk.

    `region`, `number` and `label` (N,) say which. Shorter images are padded: `index` -1, else 0.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        bands, dates, length = layout.shape
        one = bands * dates * length * np.dtype(layout.dtype).itemsize
        self.step = int(min(_SHARD, layout.count, max(1, _SHARD_BYTES // one)))
        self.group = zarr.create_group(folder / "images.zarr")
        kinds: dict[str, tuple[tuple[int, ...], str, int]] = {
            "image": (layout.shape, layout.dtype, 0),
            "clear": ((dates, length), "bool", 0),
            "index": ((length,), "int32", -1),
            "region": ((), "int64", -1),
            "number": ((), "int64", -1),
            "label": ((), "int64", -1),
        }
        for name, (shape, dtype, fill) in kinds.items():
            self.group.create_array(
                name,
                shape=(layout.count, *shape),
                chunks=(1, *shape) if shape else (layout.count,),
                shards=(self.step, *shape) if shape else None,
                dtype=dtype,
                fill_value=fill,
            )
        self.waiting: list[PlanarImage] = []
        self.count = 0

    def write(self, images: Sequence[PlanarImage]) -> None:
        """Write whole shards, keep the rest."""
        self.waiting += images
        while len(self.waiting) >= self.step:
            self._flush(self.waiting[: self.step])
            del self.waiting[: self.step]

    def close(self) -> None:
        """Write the rest."""
        if self.waiting:
            self._flush(self.waiting)

    def _flush(self, images: Sequence[PlanarImage]) -> None:
        rows = slice(self.count, self.count + len(images))
        self.count += len(images)
        for name in ("region", "number", "label"):
            self._array(name)[rows] = np.array([getattr(one, name) for one in images])
        for name in ("image", "clear", "index"):
            array = self._array(name)
            padded = np.full((len(images), *array.shape[1:]), array.fill_value, array.dtype)
            for place, one in zip(padded, images, strict=True):
                place[..., : len(one.index)] = getattr(one, name)
            array[rows] = padded

    def _array(self, name: str) -> "zarr.Array[Any]":
        array = self.group[name]
        assert isinstance(array, zarr.Array)
        return array


class Pictures:
    """`region-000012-00003.png`: the first three bands (or one) in 8 bits, transparent where unclear."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout

    def write(self, images: Sequence[PlanarImage]) -> None:
        """One file each."""
        shown = 3 if self.layout.shape[0] >= 3 else 1
        low, high = (ends[:shown, None, None] for ends in (self.layout.low, self.layout.high))
        for one in images:
            values = np.clip((one.image[:shown] - low) / (high - low), 0, 1) * 255
            opaque = np.where(one.clear, 255, 0)[None]
            layers = np.concatenate([values, opaque]).round().astype(np.uint8)
            picture = Image.fromarray(np.ascontiguousarray(layers.transpose(1, 2, 0)))
            picture.save(self.folder / f"{_key(one)}.png")

    def close(self) -> None:
        """Nothing is left."""


WRITERS: dict[Format, Callable[[Path, Layout], Writer]] = {
    "npz": Npz,
    "zarr": Group,
    "webdataset": Tar,
    "png": Pictures,
}


def _region(image: PlanarImage) -> str:
    return f"region-{image.region:06}"


def _key(image: PlanarImage) -> str:
    return f"{_region(image)}-{image.number:05}"


def _npy(values: NDArray[Any]) -> bytes:
    data = io.BytesIO()
    np.save(data, values, allow_pickle=False)
    return data.getvalue()
