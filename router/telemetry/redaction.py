"""Blots out, in any text, what looks like a key. For logs: what a line holds is not always ours to know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

BLOT: Final = "***"
_SHORTEST: Final = 8
"""Characters of a known secret: shorter ones are stand-ins such as `none`, and stand in words."""
LONGEST: Final = 20_000
"""Characters of one text that a log shows: a file in it may have millions."""
_LONGEST_KEY: Final = 4_096
_DEEPEST: Final = 32
"""Levels of a value that are looked at; what lies deeper is dropped."""

_KINDS: Final = (
    r"sk-[\w-]{6,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek, LiteLLM, …
    r"(?:xai|pplx|nvapi)-[\w-]{8,}",
    r"(?:gsk|hf|gh[opsur]|github_pat|fw)_\w{8,}",
    r"AIza[\w-]{20,}",  # Google's API keys, and its tokens
    r"ya29\.[\w.-]{8,}",
    r"(?:AKIA|ASIA)[A-Z0-9]{12,}(?:[\s:/,]+[A-Za-z0-9/+=]{40}(?![A-Za-z0-9/+=]))?",  # AWS, and its key
    r"eyJ[\w-]{8,400}\.[\w-]+(?:\.[\w-]*)?",  # tokens of OAuth, Entra ID's among them
)
_KEY: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_KINDS)})")
_SCHEME: Final = re.compile(r"\b((?:[Bb]earer|BEARER|[Bb]asic|BASIC)\s+)(?=[\w.~+/-]*[\dA-Z=._-])[\w.~+/=-]{6,}")
_LOGIN: Final = re.compile(r"(://[^\s/@:]*:)[^\s/@]+(?=@)")
_NAME: Final = r"""(?:
    (?:api[-_]?key|secret|password|passwd|credential|signature|access[-_]?key|private[-_]?key|account[-_]?key
        |(?:access|auth|refresh|id|security|session|bearer|ad|client)[-_]?token)s?(?:[-_]\w{1,24})?
    |(?<!\w)(?:authorization|sig)
)"""
_NAMED: Final = re.compile(
    rf"""({_NAME}["']?\s*[:=]\s*["']?)(?!\*\*\*|["'\s]|(?:none|null|true|false)\b)
        (?:(?<=["'])[^"']+|[^\s"',;&)}}\]]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_ENDS_IN_NAME: Final = re.compile(f"{_NAME}$", re.IGNORECASE | re.VERBOSE)
_MARKS: Final = (
    *("sk-", "xai-", "pplx-", "nvapi-", "gsk_", "hf_", "fw_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"),
    *("AIza", "ya29.", "AKIA", "ASIA", "eyJ", "://", "earer ", "EARER ", "asic ", "ASIC "),
)
"""Where a key stands alone, without a name, one of these is; much faster to look for than the key."""
_SECRET_NAME: Final = re.compile(r"API_?KEY|SECRET|TOKEN|PASSW|CREDENTIAL|ACCESS_KEY|PRIVATE_KEY", re.IGNORECASE)


class Redactor:
    """Blots out `secrets`, and all that has the form of a key: `sk-…`, `Bearer …`, `api_key=…`, AWS's, passwords in
    addresses. A net, not a wall: a key of no known form, that nobody named, goes through."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # the longest first: one may be part of another
        known = {secret for secret in secrets if len(secret) >= _SHORTEST}
        self._secrets = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without them; what is beyond `LONGEST` is cut off."""
        beyond = len(text) - LONGEST
        if beyond > 0:
            text = text[: LONGEST + _LONGEST_KEY]  # so that a key on the edge is seen whole
        for secret in self._secrets:
            text = text.replace(secret, BLOT)
        text = _SCHEME.sub(rf"\1{BLOT}", text)
        text = _LOGIN.sub(rf"\1{BLOT}", text)
        text = _NAMED.sub(rf"\1{BLOT}", text)
        text = _KEY.sub(BLOT, text)
        return text if beyond <= 0 else f"{text[:LONGEST]}… ({beyond} more)"

    def value(self, value: object, levels: int = _DEEPEST) -> object:
        """What is like JSON, its texts without them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (dict, list, tuple)) and not levels:
            return None
        if isinstance(value, dict):
            return {self.text(str(name)): self._under(name, item, levels - 1) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item, levels - 1) for item in value]
        return value

    def clean(self, names: str) -> bool:
        """Whether none of some names can hold a key. Much quicker than to look for it."""
        if len(names) > LONGEST:  # to be cut off
            return False
        for marks in (_MARKS, self._secrets):
            for mark in marks:
                if mark in names:
                    return False
        return not ((":" in names or "=" in names) and _NAMED.search(names))

    def _under(self, name: object, item: object, levels: int) -> object:
        named = isinstance(item, str) and item and isinstance(name, str) and _ENDS_IN_NAME.search(name)
        return BLOT if named else self.value(item, levels)


def environment_secrets(environ: Mapping[str, str]) -> list[str]:
    """The values of the variables that are named like keys."""
    return [value for name, value in environ.items() if _SECRET_NAME.search(name)]
