"""The kinds of text a deployment's parameters hold, each checked before it can fail a call."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr
from pydantic.json_schema import WithJsonSchema

from providers import jsonio
from providers.types import Dialect
from router.config.plain import is_json
from router.hints import did_you_mean

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LONE = re.compile(r"[\ud800-\udfff]")
_BLANK = re.compile(r"\s")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed, and refused, on access
    except ValueError:
        raise ValueError("is not a URL; write 'https://host[:port][/path]'") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or _BLANK.search(url) or _CONTROL.search(url):
        raise ValueError("must be an absolute URL; write 'https://host[:port][/path]'")
    return parts


def address(url: str) -> str:
    """`url` without trailing slashes. Raises `ValueError` saying what is wrong with it."""
    url = url.strip()
    parts = _split(url)
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password; use api_key or extra_headers")
    if any(name != "api-version" for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError("must have no query but 'api-version'; use extra_query")
    return url.rstrip("/")


def secret(value: SecretStr) -> SecretStr:
    """`value`, if it can stand in a header. Raises `ValueError`."""
    _printable(value.get_secret_value())
    return value


def google_json(value: object) -> SecretStr | dict[str, object]:
    """Google's credentials, if they have the form of any; google-auth reads what they say. Raises `ValueError`."""
    if isinstance(value, dict) and value and is_json(value):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be JSON, as a text or a mapping, or the path of a file that holds it")
    if not value.lstrip().startswith("{"):
        _file(os.path.expanduser(value))
    elif not _is_object(value):
        raise ValueError("is not valid JSON")
    return SecretStr(value)


def _is_object(text: str) -> bool:
    """Whether a text is a JSON object."""
    try:
        return isinstance(jsonio.loads(text), dict)
    except ValueError:
        return False


def _dialect(value: object) -> object:
    names = [str(each) for each in Dialect]
    if isinstance(value, str) and value in names:
        return Dialect(value)
    near = did_you_mean(value, names) if isinstance(value, str) else ""
    raise ValueError(f"must be one of {', '.join(names)}{near}")


def _proxy(url: str) -> str:
    _split(url)
    return url


def _file(path: str) -> str:
    if "\0" in path or not os.path.exists(path):
        raise ValueError("names no file")
    return path


def _verify(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value:
        known = {"true": True, "false": False}.get(value.lower())
        return _file(value) if known is None else known
    raise ValueError("must be true, false or the path of a CA bundle")


def _identifier(value: object) -> object:
    """LiteLLM takes numbers for ids."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text(value: object) -> object:
    """Numbers and truth values are as good as text in a header or a query."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _printable(value: str) -> str:
    if _CONTROL.search(value) or value != value.strip() or _LONE.search(value):
        raise ValueError("must be printable, without line breaks, and without blanks around it")
    return value


def _token(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is not a header's name")
    return name


def _checks(value: object) -> object:
    """LiteLLM writes true; YAML takes `off` for false."""
    return ("models" if value else "off") if isinstance(value, bool) else value


Address = Annotated[str, AfterValidator(address)]
"""Where an API is."""
Proxy = Annotated[str, AfterValidator(_proxy)]
File = Annotated[str, Field(min_length=1), AfterValidator(_file)]
Verify = Annotated[bool | str, BeforeValidator(_verify), WithJsonSchema({"type": ["boolean", "string"]})]
Identifier = Annotated[
    str, Field(min_length=1, max_length=256), AfterValidator(_printable), BeforeValidator(_identifier)
]
Printable = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
"""What may stand in a header."""
Secret = Annotated[SecretStr, Field(min_length=1), AfterValidator(secret)]
DialectName = Annotated[
    Dialect, PlainValidator(_dialect), WithJsonSchema({"type": "string", "enum": [*map(str, Dialect)]})
]
HealthChecks = Annotated[
    Literal["off", "models", "call"],
    BeforeValidator(_checks),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": ["off", "models", "call"]}, {"type": "boolean"}]}),
]
"""Whether deployments are asked how they are: not at all, for their models, or by a call for one token."""
GoogleJson = Annotated[
    SecretStr | dict[str, object],
    PlainValidator(google_json),
    WithJsonSchema({"type": ["string", "object"], "minLength": 1}),
]
"""Google's credentials: JSON, or the path of a file that holds it."""
Headers = dict[
    Annotated[str, AfterValidator(_token)], Annotated[str, AfterValidator(_printable), BeforeValidator(_text)]
]
Queries = dict[str, Annotated[str, BeforeValidator(_text)]]
