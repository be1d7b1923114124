"""The parts of the settings that say what may be spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, model_validator
from pydantic.json_schema import WithJsonSchema

from checks.budgets.period import parse_period
from checks.budgets.rules import Scope
from router.config.problems import Problems
from router.config.strict import Amount, Fields, Name, Strict

SCOPES: tuple[Scope, ...] = ("group", "deployment", "provider", "end_user", "tag")
_OTHER_NAMES = {"budget_limit": "max_budget", "time_period": "budget_duration"}
_PAIR = ("max_budget", "budget_duration")


def _duration(text: str) -> str:
    parse_period(text)
    return text


_SCHEMA = {"type": "string", "pattern": "^[1-9][0-9]*(s|m|h|d|w|mo)$"}
Duration = Annotated[str, AfterValidator(_duration), WithJsonSchema(_SCHEMA)]
"""How long a budget lasts before it starts anew: `30s`, `5m`, `1h`, `1d`, `1w`, `1mo`."""


class Spending(Strict):
    """What may be spent in which time."""

    max_budget: Amount
    """US dollars; 0: nothing may be spent. LiteLLM's `budget_limit` is the same."""
    budget_duration: Duration
    """For how long: `1h`, `1d`, `1mo`. LiteLLM's `time_period` is the same."""

    @model_validator(mode="before")
    @classmethod
    def _by_other_names(cls, value: Any) -> Any:  # pydantic's signature
        if not isinstance(value, dict):
            return value
        for other, name in _OTHER_NAMES.items():
            if other in value and name in value:
                raise ValueError(f"{other} is another name of {name}; give one of them")
        return {_OTHER_NAMES.get(name, name): item for name, item in value.items()}


class Budget(Spending):
    """One budget: of a group, a deployment, a provider, an end user or a tag, or of each of them."""

    refused: ClassVar[Mapping[str, str]] = {
        "user": "it is called end_user",
        "model": "it is called group",
        "model_name": "it is called group",
    }

    group: Name | None = None
    deployment: Name | None = None
    """Its id."""
    provider: Name | None = None
    end_user: Name | None = None
    tag: Name | None = None

    @model_validator(mode="after")
    def _one_owner(self) -> Budget:
        given = [scope for scope in SCOPES if getattr(self, scope) is not None]
        if len(given) != 1:
            said = "none is" if not given else f"{' and '.join(given)} are"
            raise ValueError(f"is for one of {', '.join(SCOPES)}; {said} given")
        return self

    @property
    def owner(self) -> tuple[Scope, str]:
        """Whose it is."""
        return next((scope, name) for scope in SCOPES if (name := getattr(self, scope)) is not None)


def check_deployment(params: Strict, fields: Fields, problems: Problems) -> None:
    """Note a limit without a time, or a time without a limit."""
    for name, other in (_PAIR, _PAIR[::-1]):
        if getattr(params, name) is None and getattr(params, other) is not None:
            example = "'1d'" if name == "budget_duration" else "10"
            problems.add(fields.place(name), f"is needed beside {other}; write it as {example}")
