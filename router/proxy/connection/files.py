"""How many files, and so connections, this process may have open, where the system sets a bound."""

from __future__ import annotations

import sys
from contextlib import suppress

UNBOUNDED = 1 << 31
"""More than there will ever be."""


def affordable() -> int:
    """Connections of clients that leave as many open files for the other side of the proxy, and for itself."""
    if sys.platform == "win32":  # pragma: no cover - it knows no such bound
        return UNBOUNDED
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return UNBOUNDED if most == resource.RLIM_INFINITY else max(1, most // 2)


def allow_most() -> None:
    """Raise this process's bound as far as it may itself."""
    if sys.platform == "win32":  # pragma: no cover - it knows no such bound
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):  # macOS says "infinity" and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
