"""From entries of `model_list` to deployments."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import cast

from providers.probes import capture
from providers.rates import Rates
from providers.types import Connection, Deployment, Dialect, Json
from router.config.budgets import check_deployment
from router.config.costs import Costs
from router.config.credentials import ANYWHERE, check_vendor, check_ways, under
from router.config.entry import Body, Entry, Info, Params, Traits
from router.config.identity import derive_id
from router.config.plain import Copier, is_json
from router.config.problems import Problems, at
from router.config.signin import Sources
from router.config.strict import Fields, check, read_fields
from router.config.vendor import Lookup, Site


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
        self._sources: Sources = {}

    def defaults(self, raw: object, place: str) -> Fields:
        """`default_litellm_params`, checked: the parameters every entry starts from."""
        plain = self._copier.mapping(raw, place)
        fields = read_fields(Params, plain or {}, place, self._problems)
        if "model" in fields.values:
            self._problems.add(fields.places["model"], "belongs to each entry of model_list")
            fields = fields.without(["model"])
        check_ways(fields.only(ANYWHERE), self._problems)  # there may be a way for each of several vendors
        check(Params, Fields({"model": "-"}).under(fields), self._problems)
        return fields

    def draft(self, raw: object, place: str, defaults: Fields) -> Draft | None:
        """The deployment an entry describes; None, with the problems noted, if even its group can't be made out.

        If only the rest can't, the draft holds a stand-in: names that refer to the group are not wrong for that.
        """
        plain = self._copier.mapping(raw, place)
        if plain is None:
            return None
        entry = read_fields(Entry, plain, place, self._problems)
        group = self._group(entry)
        info, metadata = self._info(entry)
        known = check(Info, info.only(["id"]), self._problems) or Info()
        params, site = self._site(entry, info, defaults, group, metadata.get("supported_endpoints"))
        if group is None:
            return None
        if params is None or site is None:
            return Draft(Deployment(known.id or place, group, "", ""), place, known.id is not None)
        return Draft(_deployment(group, known.id, params, site, metadata), place, known.id is not None)

    def _site(
        self, entry: Fields, info: Fields, defaults: Fields, group: str | None, endpoints: Json
    ) -> tuple[Params | None, Site | None]:
        """The parameters of an entry, completed, and where they lead."""
        written = self._part(entry, "litellm_params")
        if written is None:
            return None, None
        given = read_fields(Params, written, entry.place("litellm_params"), self._problems)
        self._compare(info, given)
        check_ways(given, self._problems)
        fields = under(defaults, info.only(Traits.model_fields).under(given))
        params = check(Params, fields, self._problems)
        if params is None:
            return None, None
        check_deployment(params, fields, self._problems)
        known = [each for each in endpoints if isinstance(each, str)] if isinstance(endpoints, list) else []
        lookup = Lookup(params, fields, self._environ, self._problems, self._sources, known)
        found = lookup.vendor()
        if found is None:
            return params, None
        check_vendor(found[0], given, self._problems)
        site = lookup.site(*found)
        if site is not None and group is not None:
            self._check_wildcard(group, site.model, entry.place("model_name"), fields.place("model"))
            if params.health_check_model is not None:
                self._check_health_check(site, params.health_check_model, fields.place("health_check_model"))
        return params, site

    def _group(self, entry: Fields) -> str | None:
        value = entry.values.get("model_name")
        if isinstance(value, str) and value:
            return value
        if not entry.excused(["model_name"], self._problems):
            wrong = "must not be empty" if isinstance(value, str) else "must be a string"
            self._problems.add(entry.place("model_name"), "is required" if value is None else wrong)
        return None

    def _part(self, entry: Fields, name: str) -> dict[str, object] | None:
        value = entry.values.get(name)
        if isinstance(value, dict):
            return cast("dict[str, object]", value)
        written = [name, *(other for other, meant in Entry.synonyms.items() if meant == name)]
        if not entry.excused(written, self._problems):
            self._problems.add(entry.place(name), "is required" if value is None else "must be a mapping")
        return None

    def _info(self, entry: Fields) -> tuple[Fields, dict[str, Json]]:
        """The fields of `model_info`, and what else it holds."""
        spot = entry.place("model_info")
        raw = (self._part(entry, "model_info") if "model_info" in entry.values else None) or {}
        ours = {name: value for name, value in raw.items() if name in Info.model_fields or name in Info.synonyms}
        metadata: dict[str, Json] = {}
        for name, value in raw.items():
            if name in ours or (value is None and name in Info.refused):
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
        for name, value in info.values.items():
            if name in given.values and given.values[name] != value:
                self._problems.add(info.places[name], f"contradicts {given.places[name]}; give it once")

    def _check_wildcard(self, group: str, model: str, group_place: str, model_place: str) -> None:
        for name, place in ((group, group_place), (model, model_place)):
            if name.count("*") > 1:
                self._problems.add(place, "may hold only one '*'")
        if model.count("*") == 1 and "*" not in group:
            self._problems.add(
                model_place, "has a '*' but model_name has none to fill it; write one there, e.g. 'openai/*'"
            )

    def _check_health_check(self, site: Site, named: str, place: str) -> None:
        if "*" not in site.model:
            self._problems.add(place, "is for models with a '*'; a health check calls this deployment's own model")
        elif not capture(site.vendor.name, site.model, named):
            self._problems.add(place, f"is none of the models that {site.vendor.name}/{site.model} stands for")


def _deployment(
    group: str, given_id: str | None, params: Params, site: Site, metadata: Mapping[str, Json]
) -> Deployment:
    apart = [group, site.api_version, params.organization, site.project, site.region, params.account]
    if site.dialect is not Dialect.RESPONSES:
        apart.append(site.dialect)
    return Deployment(
        id=given_id or derive_id(site.vendor.name, site.model, site.api_base or site.vendor.default_base, apart),
        group=group,
        provider=site.vendor.name,
        model=site.model,
        dialect=site.dialect,
        api_base=site.api_base,
        api_version=site.api_version,
        api_key=site.api_key,
        token_source=site.token_source,
        organization=params.organization,
        project=site.project,
        headers=params.extra_headers or {},
        query=params.extra_query or {},
        defaults={name: value for name in Body.model_fields if (value := getattr(params, name)) is not None},
        extra_body=cast("dict[str, Json]", params.extra_body or {}),
        drop_params=bool(params.drop_params),
        additional_drop_params=frozenset(params.additional_drop_params or ()),
        allowed_openai_params=frozenset(params.allowed_openai_params or ()),
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
        region=site.region,
        account=params.account,
        holds=frozenset(params.holds or ()),
        timeout=params.timeout,
        stream_timeout=params.stream_timeout,
        idle_timeout=params.idle_timeout,
        cooldown_time=params.cooldown_time,
        num_retries=params.num_retries,
        health_check=params.health_check,
        health_check_model=params.health_check_model,
        max_input_tokens=params.max_input_tokens,
        prices=_rates(params),
        max_budget=params.max_budget,
        budget_duration=params.budget_duration,
        info=metadata,
    )


def _rates(params: Params) -> Rates | None:
    """The deployment's own prices; None if it gives none."""
    given = {name: price for name in Costs.model_fields if (price := getattr(params, name)) is not None}
    return Rates(given) if given else None


def settle_ids(drafts: Iterable[Draft], problems: Problems, taken: Container[str] = ()) -> tuple[Deployment, ...]:
    """Make ids unique: two given alike are a problem; derived ones that clash get `-2`, `-3`, … by position."""
    kept: list[Draft] = []
    owners: dict[str, str] = {}
    for draft in drafts:
        name = draft.deployment.id
        if draft.named and name in owners:
            problems.add(at(draft.place, "model_info") + ".id", f"{name!r} is also the id of {owners[name]}")
            continue
        if draft.named:
            owners[name] = draft.place
        kept.append(draft)
    used = set(owners)
    settled = []
    for draft in kept:
        name = draft.deployment.id if draft.named else _free(draft.deployment.id, used, taken)
        used.add(name)
        settled.append(replace(draft.deployment, id=name))
    return tuple(settled)


def _free(name: str, used: Container[str], taken: Container[str]) -> str:
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain((name,), numbered) if each not in used and each not in taken)
