"""Chance that depends on what it is about, and on nothing else: not on the order in which it is asked."""

from __future__ import annotations

import hashlib


def draw(seed: int, *about: object) -> float:
    """A number from 0 to 1 (never 1) for `about`; the same in every process."""
    digest = hashlib.blake2b(repr((seed, about)).encode(errors="replace"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)


def token(seed: int, *about: object) -> str:
    """32 hexadecimal digits for `about`; the same in every process."""
    return hashlib.blake2b(repr((seed, about)).encode(errors="replace"), digest_size=16).hexdigest()
