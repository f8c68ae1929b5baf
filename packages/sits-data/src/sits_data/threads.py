"""How many threads to start when nobody says."""

import os


def available_cores() -> int:
    """Cores that this process may use, at least 1: a container or a scheduler may allow only some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
