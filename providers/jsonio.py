"""JSON, fast and lossless: msgspec, with the standard library for what msgspec refuses.

msgspec keeps integers of any size exact (orjson turns those above 64 bits into floats) but refuses lone
surrogates, NaN and numbers beyond a double, all of which real servers have been seen to send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

import msgspec

from providers.types import Json

_decode = msgspec.json.Decoder().decode
_REFUSED = (msgspec.DecodeError, UnicodeError, RecursionError)


def loads(data: bytes | str) -> Json:
    """Parse JSON. Raises `ValueError`, also for what is nested deeper than the interpreter's stack."""
    try:
        try:
            return cast("Json", _decode(data))
        except (msgspec.DecodeError, UnicodeError):
            return cast("Json", json.loads(data))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def exact(data: bytes) -> tuple[Json, bytes | None]:
    """As `loads`; and `data` itself if it may be passed on as it is, so that not even how a number is spelt is changed.

    None for what only the standard library takes for JSON: NaN and infinities, and text that is not UTF-8.
    """
    try:
        return cast("Json", _decode(data)), data
    except _REFUSED:
        return loads(data), data if _is_plain(data) else None


def _is_plain(data: bytes) -> bool:
    """Whether it is JSON as everybody reads it: in UTF-8 without a mark, and with numbers only."""
    odd: list[str] = []
    try:
        json.loads(data.decode(), parse_constant=odd.append)
    except ValueError:
        return False
    return not odd


def plain(value: object) -> object:
    """What a mapping, or an object of an SDK, of pydantic or of ours, is in JSON. Raises `TypeError` for others."""
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, type):  # a class has these too, but for its instances
        to_dict = getattr(value, "to_dict", None)
        if callable(to_dict):
            return to_dict()
        model_dump = getattr(value, "model_dump", None)
        if callable(model_dump):
            return model_dump(mode="json", by_alias=True, exclude_unset=True)
    name = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    raise TypeError(f"{name} is not JSON: pass plain data, a pydantic model or an SDK object")


_encode = msgspec.json.Encoder(enc_hook=plain).encode


def dumps(value: object) -> bytes:
    """Serialise to compact UTF-8 JSON; NaN and infinities, which JSON lacks, become null.

    Raises `TypeError` naming a type that has no JSON form, or saying why else the value has none.
    """
    try:
        try:
            return _encode(value)
        except (OverflowError, UnicodeError):  # integers above 64 bits, lone surrogates
            return _escaped(value)
    except RecursionError:
        raise TypeError("it contains itself, or is nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise TypeError(str(error)) from None


def _escaped(value: object) -> bytes:
    """The same by way of the standard library: slower, in ASCII."""
    tree = msgspec.to_builtins(value, str_keys=True, enc_hook=plain)
    finite = json.loads(json.dumps(tree), parse_constant=lambda _: None)
    return json.dumps(finite, separators=(",", ":")).encode()
