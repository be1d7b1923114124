"""JSON, fast and lossless: msgspec, with the standard library for what msgspec refuses.

msgspec keeps integers of any size exact (orjson turns those above 64 bits into floats) but refuses lone
surrogates, NaN and numbers beyond a double, all of which real servers have been seen to send.
"""

from __future__ import annotations

import json
from typing import cast

import msgspec

from providers.types import Json

_decode = msgspec.json.Decoder().decode


def loads(data: bytes | str) -> Json:
    """Parse JSON. Raises `ValueError`."""
    try:
        return cast("Json", _decode(data))
    except msgspec.DecodeError:
        return cast("Json", json.loads(data))


def _plain(value: object) -> object:
    """What an object of an SDK, of pydantic or of ours is in JSON."""
    to_dict = getattr(value, "to_dict", None)
    if callable(to_dict):
        return to_dict()
    model_dump = getattr(value, "model_dump", None)
    if callable(model_dump):
        return model_dump(mode="json", by_alias=True, exclude_unset=True)
    raise TypeError(f"{type(value).__name__} is not JSON: pass plain data, a pydantic model or an SDK object")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def dumps(value: object) -> bytes:
    """Serialise to compact UTF-8 JSON. Raises `TypeError` naming a type that has no JSON form."""
    try:
        return _encode(value)
    except (OverflowError, UnicodeError):  # integers above 64 bits, lone surrogates
        return json.dumps(value, default=_plain, separators=(",", ":")).encode()
