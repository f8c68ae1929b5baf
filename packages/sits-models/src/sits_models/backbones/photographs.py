"""Weights that learned from photographs, where the machine can get them."""

import logging
from collections.abc import Callable

from torch import nn

_log = logging.getLogger("sits_models")

_missing: set[str] = set()  # whose weights were not to be had; asking again takes a minute offline


def learned_or_new[Network: nn.Module](
    make: Callable[[bool], Network], name: str
) -> tuple[Network, bool]:
    """A network with weights of ImageNet; where they are not to be had, a warning and random ones.

    They are asked for once in the life of a process.

    Args:
        make: makes the network, with learned weights or without; an OSError says that they are neither
            in the cache nor to be downloaded.
        name: of the network, for the warning.

    Returns:
        The network, and whether its weights are learned.
    """
    if name in _missing:
        return make(False), False
    try:
        return make(True), True
    except OSError as error:
        reason = " ".join(str(error).split())
        _log.warning(
            "the ImageNet weights of %s are neither in the cache nor to be downloaded (%s): it starts "
            "from random weights",
            name,
            reason,
        )
        _missing.add(name)
        return make(False), False
