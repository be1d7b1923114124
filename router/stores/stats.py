"""What the stores count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StoreStats:
    """Counters since the start. For reading; only the stores write them."""

    hits: int = 0
    """Lookups that memory answered."""
    shared_hits: int = 0
    """Lookups that Redis answered."""
    misses: int = 0
    """Lookups that found nothing."""
    blind: int = 0
    """Those of the misses that could not ask Redis."""
    errors: int = 0
    """Operations on Redis that failed or took longer than their bound."""
    outages: int = 0
    """Times that Redis was given up on."""
    recoveries: int = 0
    """Times that it came back."""
    flushed: int = 0
    """Writes that were sent later: those of an outage, and renewals."""
    dropped: int = 0
    """Writes of an outage that were lost: too many, or refused later."""
