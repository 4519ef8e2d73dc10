"""Where the user's caches lie."""

from __future__ import annotations

import os
from functools import lru_cache

from vmcsc.cache import Cache


def user_cache() -> Cache | None:
    """The cache in `vmcsc` below XDG_CACHE_HOME or ~/.cache; None where neither says a place, or VMCSC_CACHE is 0."""
    if os.environ.get("VMCSC_CACHE") == "0":
        return None
    base, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if not os.path.isabs(base):  # as the XDG base directory specification has it
        base = os.path.join(home, ".cache") if os.path.isabs(home) else ""
    return _cache(os.path.join(base, "vmcsc")) if base else None


@lru_cache(maxsize=1)
def _cache(folder: str) -> Cache:
    return Cache(folder)
