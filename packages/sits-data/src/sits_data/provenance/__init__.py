"""A STAC item for each cube and planar store: what it is, what it was made from, what its bytes are."""

from sits_data.provenance.checksum import combine, folder_digests, multihash
from sits_data.provenance.cube import kept_checksum, write_cube_item
from sits_data.provenance.item import item_file
from sits_data.provenance.store import write_store_item

__all__ = [
    "combine",
    "folder_digests",
    "item_file",
    "kept_checksum",
    "multihash",
    "write_cube_item",
    "write_store_item",
]
