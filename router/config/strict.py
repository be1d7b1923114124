"""The base of our configuration models, and how a mapping is held against one of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, PlainValidator, ValidationError
from pydantic.json_schema import WithJsonSchema
from pydantic_core import ErrorDetails

from router.config.plain import is_json
from router.config.problems import Problems, at, within, wording
from router.hints import did_you_mean


class Strict(BaseModel):
    """A frozen model that refuses unknown fields and never shows a value in its errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )

    synonyms: ClassVar[Mapping[str, str]] = {}
    """Other names of fields → the field."""
    refused: ClassVar[Mapping[str, str]] = {}
    """Names that are known but not taken → why, or what to use."""
    nested: ClassVar[Mapping[str, type[Strict]]] = {}
    """Models inside fields, for their did-you-mean."""

    @classmethod
    def unknown(cls, name: str, noun: str = "field") -> str:
        """What to say about a name that is no field of this model."""
        if name in cls.refused:
            return f"not supported: {cls.refused[name]}"
        return f"unknown {noun}{did_you_mean(name, [*cls.model_fields, *cls.synonyms])}"


Model = TypeVar("Model", bound=Strict)


@dataclass(slots=True)
class Fields:
    """Values by field name, each with the place it was written at."""

    values: dict[str, object] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    homes: tuple[str, ...] = ()
    """The places of the mappings they were read from, the most specific last."""

    def under(self, other: Fields) -> Fields:
        """These, overridden by those of `other`."""
        return Fields(self.values | other.values, self.places | other.places, self.homes + other.homes)

    def only(self, names: Iterable[str]) -> Fields:
        """Those of them that are named."""
        kept = [name for name in names if name in self.values]
        values = {name: self.values[name] for name in kept}
        return Fields(values, {name: self.places[name] for name in kept}, self.homes)

    def without(self, names: Collection[str]) -> Fields:
        """Those of them that are not named."""
        return self.only([name for name in self.values if name not in names])

    def place(self, name: str) -> str:
        """Where a field was written, or else where it should be."""
        return self.places.get(name) or at(self.homes[-1], name)

    def is_default(self, place: str) -> bool:
        """Whether a place is in the least specific of the mappings they were read from, of several."""
        return len(self.homes) > 1 and place.startswith(f"{self.homes[0]}.")

    def excused(self, names: Iterable[str], problems: Problems) -> bool:
        """Whether any of `names` was written, but with a problem: that it is missing need not be said."""
        return any(problems.known_at(at(home, name)) for name in names for home in self.homes)


def read_fields(
    model: type[Strict], raw: Mapping[str, object], place: str, problems: Problems, noun: str = "field"
) -> Fields:
    """The fields of `model` given in `raw`; nulls count as not given. Notes what is unknown or given twice."""
    fields = Fields(homes=(place,))
    for written, value in raw.items():
        name = model.synonyms.get(written, written)
        spot = at(place, written)
        if name not in model.model_fields:
            problems.add(spot, model.unknown(written, noun))
        elif name in fields.values:
            problems.add(spot, f"another name of {fields.places[name]}; give one of them")
        elif value is not None:
            fields.values[name] = value
            fields.places[name] = spot
    return fields


def check(model: type[Model], fields: Fields, problems: Problems) -> Model | None:
    """The model with all fields that are right; None if that leaves out a required one. Notes what is wrong."""
    values = dict(fields.values)
    while True:
        errors: list[ErrorDetails]
        try:
            return model.model_validate(values)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
        dropped = False
        for detail in errors:
            _note(model, detail, fields, problems)
            dropped |= bool(detail["loc"]) and values.pop(str(detail["loc"][0]), None) is not None
        if not dropped:
            return None


def _note(model: type[Strict], error: ErrorDetails, fields: Fields, problems: Problems) -> None:
    head, *rest = error["loc"]
    spot = within(fields.place(str(head)), [part for part in rest if part != "[key]"])
    if error["type"] == "extra_forbidden":
        problems.add(spot, model.nested[str(head)].unknown(str(rest[-1])))
    elif error["type"] != "missing" or not problems.known_at(spot):
        problems.add(spot, wording(error))


def _number(value: object) -> object:
    """Keep `true` from being read as 1, and digits by the thousand from being read at all."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("is too large a number")
    return value


def _json(value: object) -> object:
    if not is_json(value):
        raise ValueError("must be plain JSON data")
    return value


Number = BeforeValidator(_number)
Count = Annotated[int, Field(ge=0), Number]
PositiveCount = Annotated[int, Field(ge=1), Number]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), Number]
"""A duration that is not nothing."""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False), Number]
Name = Annotated[str, Field(min_length=1)]
AnyJson = Annotated[JsonValue, PlainValidator(_json), WithJsonSchema({})]
JsonMapping = dict[str, AnyJson]
