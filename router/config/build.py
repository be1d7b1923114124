"""From entries of `model_list` to deployments."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from providers.types import Connection, Deployment, Json
from router.config.entry import Body, Entry, Info, Params, Traits
from router.config.identity import derive_id
from router.config.plain import Copier, is_json
from router.config.problems import Problems, at
from router.config.strict import Fields, check, read_fields
from router.config.vendor import Site, locate


@dataclass(frozen=True, slots=True)
class Draft:
    """A deployment whose id may still clash with another's."""

    deployment: Deployment
    place: str
    named: bool
    """Whether the id was given."""


class Builder:
    """Builds the deployments of one configuration, noting every problem."""

    def __init__(self, problems: Problems, environ: Mapping[str, str] | None = None) -> None:
        self._problems = problems
        self._environ = os.environ if environ is None else environ
        self._copier = Copier(self._environ, problems)

    def defaults(self, raw: object, place: str) -> Fields:
        """`default_litellm_params`, checked: the parameters every entry starts from."""
        plain = self._copier.mapping(raw, place)
        fields = read_fields(Params, plain or {}, place, self._problems)
        if "model" in fields.values:
            self._problems.add(fields.places["model"], "belongs to each entry of model_list")
            fields = fields.only(name for name in fields.values if name != "model")
        stand_in = Fields({"model": "-"}, {"model": place}).under(fields)
        check(Params, stand_in, place, self._problems)
        return fields

    def draft(self, raw: object, place: str, defaults: Fields) -> Draft | None:
        """The deployment an entry describes; None, with the problems noted, if it can't be made out."""
        plain = self._copier.mapping(raw, place)
        if plain is None:
            return None
        entry = read_fields(Entry, plain, place, self._problems)
        group = self._group(entry, place)
        spot = entry.places.get("litellm_params", at(place, "litellm_params"))
        written = self._part(entry, "litellm_params", place)
        if written is None:
            return None
        info, metadata = self._info(entry, place)
        given = read_fields(Params, written, spot, self._problems)
        self._compare(info, given)
        fields = defaults.under(info.only(Traits.model_fields)).under(given)
        params = check(Params, fields, spot, self._problems)
        known = check(Info, info.only(["id"]), at(place, "model_info"), self._problems) or Info()
        if params is None:
            return None
        site = locate(params, fields, spot, self._environ, self._problems)
        if site is None or group is None:
            return None
        self._check_wildcard(group, site.model, fields, place)
        return Draft(_deployment(group, known.id, params, site, metadata), place, known.id is not None)

    def _group(self, entry: Fields, place: str) -> str | None:
        value = entry.values.get("model_name")
        spot = entry.places.get("model_name", at(place, "model_name"))
        if isinstance(value, str) and value:
            return value
        if not self._problems.known_at(spot):
            wrong = "must be a string" if value is not None and not isinstance(value, str) else "must not be empty"
            self._problems.add(spot, "is required" if value is None else wrong)
        return None

    def _part(self, entry: Fields, name: str, place: str) -> dict[str, object] | None:
        spot = entry.places.get(name, at(place, name))
        value = entry.values.get(name)
        if isinstance(value, dict):
            return cast("dict[str, object]", value)
        if not self._problems.known_at(spot):
            self._problems.add(spot, "is required" if value is None else "must be a mapping")
        return None

    def _info(self, entry: Fields, place: str) -> tuple[Fields, dict[str, Json]]:
        """The fields of `model_info`, and what else it holds."""
        if "model_info" not in entry.values:
            return Fields(), {}
        raw = self._part(entry, "model_info", place) or {}
        spot = entry.places["model_info"]
        ours = {name: value for name, value in raw.items() if name in Info.model_fields or name in Info.synonyms}
        metadata: dict[str, Json] = {}
        for name, value in raw.items():
            if name in ours:
                continue
            objection = Info.objection(name)
            if objection is not None:
                self._problems.add(at(spot, name), objection)
            elif not is_json(value):
                self._problems.add(at(spot, name), "must be plain JSON data")
            else:
                metadata[name] = cast("Json", value)
        return read_fields(Info, ours, spot, self._problems), metadata

    def _compare(self, info: Fields, given: Fields) -> None:
        for name in info.values.keys() & given.values.keys():
            if info.values[name] != given.values[name]:
                self._problems.add(info.places[name], f"contradicts {given.places[name]}; give it once")

    def _check_wildcard(self, group: str, model: str, fields: Fields, place: str) -> None:
        if group.count("*") > 1:
            self._problems.add(at(place, "model_name"), "may hold only one '*'")
        if model.count("*") > 1:
            self._problems.add(fields.places["model"], "may hold only one '*'")
        elif "*" in model and "*" not in group:
            self._problems.add(
                fields.places["model"], "has a '*' but model_name has none to fill it; write one there, e.g. 'openai/*'"
            )


def _deployment(
    group: str, given_id: str | None, params: Params, site: Site, metadata: Mapping[str, Json]
) -> Deployment:
    apart = (group, site.api_version, params.organization, params.project, params.region, params.account)
    return Deployment(
        id=given_id or derive_id(site.vendor.name, site.model, site.api_base or site.vendor.default_base, apart),
        group=group,
        provider=site.vendor.name,
        model=site.model,
        api_base=site.api_base,
        api_version=site.api_version,
        api_key=site.api_key,
        token_source=site.token_source,
        organization=params.organization,
        project=params.project,
        headers=params.extra_headers or {},
        query=params.extra_query or {},
        defaults={name: value for name in Body.model_fields if (value := getattr(params, name)) is not None},
        extra_body=cast("dict[str, Json]", params.extra_body or {}),
        connection=Connection(
            verify=True if params.ssl_verify is None else params.ssl_verify,
            cert=params.client_cert,
            proxy=params.proxy,
        ),
        weight=params.weight,
        order=params.order or 0,
        rpm=params.rpm,
        tpm=params.tpm,
        max_parallel_requests=params.max_parallel_requests,
        tags=frozenset(params.tags or ()),
        region=params.region,
        account=params.account,
        timeout=params.timeout,
        stream_timeout=params.stream_timeout,
        idle_timeout=params.idle_timeout,
        cooldown_time=params.cooldown_time,
        num_retries=params.num_retries,
        max_input_tokens=params.max_input_tokens,
        info=metadata,
    )


def settle_ids(drafts: Iterable[Draft], problems: Problems, taken: Container[str] = ()) -> tuple[Deployment, ...]:
    """Make ids unique: two given alike are a problem; derived ones that clash get `-2`, `-3`, … by position."""
    drafts = tuple(drafts)
    owners: dict[str, str] = {}
    for draft in drafts:
        if not draft.named:
            continue
        name = draft.deployment.id
        if name in owners:
            problems.add(at(draft.place, "model_info") + ".id", f"{name!r} is also the id of {owners[name]}")
        owners.setdefault(name, draft.place)
    used = set(owners)
    seen: Counter[str] = Counter()
    settled = []
    for draft in drafts:
        deployment = draft.deployment
        if not draft.named:
            name = deployment.id
            while name in used or name in taken:
                seen[deployment.id] += 1
                name = f"{deployment.id}-{seen[deployment.id] + 1}"
            used.add(name)
            deployment = replace(deployment, id=name)
        settled.append(deployment)
    return tuple(settled)
