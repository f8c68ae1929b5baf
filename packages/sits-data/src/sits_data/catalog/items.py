"""From JSON to a `pystac.Item` with a moment and absolute addresses."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pystac
from pystac.utils import make_absolute_href

from sits_data.catalog.question import time_span

LONGEST_PASS = timedelta(hours=1)
"""An item that spans no more is one observation; a datatake lasts minutes."""


def make_item(content: Mapping[str, Any], address: str) -> pystac.Item:
    """An item with a moment; it may be trusted as far as `address`.

    Args:
        content: the item as JSON, which stays as it is.
        address: where it came from.
    """
    # As deep as pystac and we change it: a deep copy takes as long as all the rest.
    properties = dict(content["properties"])
    assets = {key: dict(asset) for key, asset in content.get("assets", {}).items()}
    if properties.get("datetime") is None and (span := time_span(properties)):
        first, last = span
        if last - first <= LONGEST_PASS:
            properties["datetime"] = properties["start_datetime"]
    copy = {**content, "properties": properties, "assets": assets}
    # Migrating to newer versions of extensions warns of what does not concern us; we read them all.
    item = pystac.Item.from_dict(copy, href=address, migrate=False, preserve_dict=False)
    item.set_self_href(address)
    return item


def read_item(content: Mapping[str, Any], address: str) -> pystac.Item:
    """The item of a file, its assets' addresses as the file means them."""
    item = make_item(content, address)
    for asset in item.assets.values():
        asset.href = absolute(asset.href, address)
    return item


def absolute(href: str, home: str) -> str:
    """An address as the file at `home` means it; # and ? are plain characters in local names."""
    if on_web(home) or urlparse(href).scheme:
        return make_absolute_href(href, home).removeprefix("file://")
    return os.path.normpath(Path(home).parent / href)


def on_web(href: str) -> bool:
    """Whether an address is one of the web."""
    return urlparse(href).scheme in {"http", "https"}
