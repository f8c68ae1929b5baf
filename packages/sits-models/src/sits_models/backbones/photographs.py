"""Weights that learned from photographs, where the machine can get them."""

import logging
from collections.abc import Callable

from torch import nn

_log = logging.getLogger("sits_models")


def learned_or_new[Network: nn.Module](
    make: Callable[[bool], Network], name: str
) -> tuple[Network, bool]:
    """A network with weights of ImageNet; where they are not to be had, a warning and random ones.

    Args:
        make: makes the network, with learned weights or without; an OSError says that they are neither
            in the cache nor to be downloaded.
        name: of the network, for the warning.

    Returns:
        The network, and whether its weights are learned.
    """
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
        return make(False), False
