"""What a call asks for, where another dialect is spoken: its parameters merged, settled against the dialect's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, cast

import msgspec

from providers import jsonio
from providers.errors import UnsupportedParamsError
from providers.translation.parameters import Outcome, Table
from providers.types import Call, Deployment, Json, JsonObject

_UNSAID: Final = frozenset({"model", "stream"})
"""What the call and its deployment say elsewhere."""
_SCALARS: Final = frozenset({str, bool, int, float, type(None)})


def plain(value: object) -> Json:
    """`value` as plain JSON, SDK and pydantic objects included. Raises `TypeError`."""
    try:
        return _plain(value)
    except RecursionError:
        raise TypeError("it contains itself, or is nested too deeply") from None


def _plain(value: object) -> Json:
    # not by msgspec alone, which is faster but leaves tuples be; not by way of bytes, which copies whole files
    kind = type(value)
    if kind in _SCALARS:
        return cast("Json", value)
    if kind is dict:
        items = cast("dict[object, object]", value).items()
        return {
            name if type(name) is str else _name(name): cast("Json", each) if type(each) in _SCALARS else _plain(each)
            for name, each in items
        }
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return _plain(msgspec.to_builtins(value, str_keys=True, enc_hook=jsonio.plain))


def _name(key: object) -> str:
    """A key that is no string, as JSON has it."""
    (name,) = cast("dict[str, None]", msgspec.to_builtins({key: None}, str_keys=True, enc_hook=jsonio.plain))
    return name


def merged(call: Call, deployment: Deployment) -> dict[str, object]:
    """The parameters of a call, its deployment's defaults included, as they were given."""
    return {**deployment.defaults, **call.body} if deployment.defaults else dict(call.body)


@dataclass(slots=True)
class Asked:
    """One call, ready to be translated."""

    call: Call
    deployment: Deployment
    provider: str
    """The vendor's name, for errors."""
    body: JsonObject
    """The parameters that the table maps and the call gives, as plain JSON; none is null."""
    extra: JsonObject
    """What goes on the wire as it is: the dialect's own parameters."""
    drop: bool
    """Whether what can't be said is left out."""
    dropped: list[str] = field(default_factory=list)
    """What was left out or changed, each with the reason."""

    @classmethod
    def of(cls, call: Call, deployment: Deployment, table: Table, provider: str) -> Asked:
        """Settle a call. Raises `UnsupportedParamsError` for a parameter that the dialect has no word for."""
        drop = deployment.drop_params if call.drop_params is None else call.drop_params
        asked = cls(call, deployment, provider, {}, {}, drop)
        allowed = deployment.allowed_openai_params | call.allowed_openai_params
        given = merged(call, deployment)
        for extras in (deployment.extra_body, call.extra_body):
            for name, value in extras.items():
                if name in table:
                    given[name] = value
                elif name not in deployment.additional_drop_params:
                    asked.extra[name] = plain(value)
        for name, value in given.items():
            if value is None or name in _UNSAID or name in deployment.additional_drop_params:
                continue
            asked._settle(name, plain(value), table, name in allowed)
        return asked

    def _settle(self, name: str, value: Json, table: Table, allowed: bool) -> None:
        line = table.get(name)
        if line is not None and line.outcome is Outcome.MAPPED:
            self.body[name] = value
        elif allowed:
            self.extra[name] = value
        elif line is None:
            close = get_close_matches(name, table, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            self.refuse(
                name, f"no parameter of the Responses API{hint}; what is {self.provider}'s own goes in extra_body"
            )
        elif line.outcome is Outcome.REFUSED and not line.asks_nothing(value):
            self.refuse(name, line.note)

    @property
    def model(self) -> str:
        """The model's name upstream."""
        wildcard, model = self.call.wildcard, self.deployment.model
        return model.replace("*", wildcard, 1) if wildcard else model

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.call.stream

    def get(self, name: str) -> Json:
        """A parameter, or None."""
        return self.body.get(name)

    def mapping(self, name: str) -> Mapping[str, Json]:
        """A parameter that is an object, empty if it was not given. Raises `UnsupportedParamsError` for others."""
        value = self.body.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise wrong(name, "must be an object")
        return value

    def refuse(self, where: str, why: str) -> None:
        """Leave out what stands at `where`, and note it; or raise `UnsupportedParamsError`, if all is to be said."""
        if not self.drop:
            advice = "set drop_params to leave it out"
            raise UnsupportedParamsError(
                f"{where}: not supported by {self.provider}: {why} ({advice})",
                param=where,
                code="unsupported_parameter",
                type="invalid_request_error",
            )
        self.note(where, why)

    def note(self, where: str, why: str) -> None:
        """Report that what stands at `where` was left out or changed, `drop_params` or not."""
        self.dropped.append(f"{where}: {why}")


def wrong(where: str, why: str) -> UnsupportedParamsError:
    """The error for a value that no dialect could take."""
    return UnsupportedParamsError(f"{where}: {why}", param=where, code="invalid_value", type="invalid_request_error")
