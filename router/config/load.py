"""The way in: raw configuration → deployments and settings, or one error with every problem."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence

from providers.errors import ConfigurationError
from providers.types import Deployment
from router.config.build import Builder, Draft, settle_ids
from router.config.plain import Copier
from router.config.problems import Problems, at
from router.config.references import check_references
from router.config.settings import EVERY_GROUP, RouterSettings
from router.config.strict import Fields, check, read_fields

Environment = Mapping[str, str]


def _read_settings(raw: object, place: str, problems: Problems, environ: Environment | None) -> RouterSettings:
    copier = Copier(os.environ if environ is None else environ, problems)
    plain = copier.mapping(raw, place) or {}
    noun = "field" if place else "argument"
    fields = read_fields(RouterSettings, plain, place, problems, noun)
    settings = check(RouterSettings, fields, problems) or RouterSettings()
    _check_redis(settings, fields, place, problems)
    _check_affinity(settings, fields, place, problems)
    return _with_drop_params(_with_default_fallbacks(settings, place, problems), place, problems)


def _check_redis(settings: RouterSettings, fields: Fields, place: str, problems: Problems) -> None:
    if "redis_url" in fields.values or "redis_host" in fields.values:
        try:
            settings.redis()
        except ConfigurationError as error:
            field, _, text = str(error).partition(": ")
            problems.add(at(place, field), text)
        return
    for name in ("redis_port", "redis_username", "redis_password", "redis_ssl", "redis_db"):
        if name in fields.values:
            problems.add(fields.places[name], "has no effect without redis_host or redis_url")


def _check_affinity(settings: RouterSettings, fields: Fields, place: str, problems: Problems) -> None:
    if settings.affinity == "signed-id":
        if "affinity_key" not in fields.values:
            problems.add(at(place, "affinity_key"), "is needed to sign ids; give at least 16 characters, kept secret")
        return
    for name in ("affinity_key", "affinity_previous_key"):
        if name in fields.values:
            problems.add(fields.places[name], "has no effect without affinity='signed-id'")


def _with_default_fallbacks(settings: RouterSettings, place: str, problems: Problems) -> RouterSettings:
    """LiteLLM's `fallbacks=[{"*": […]}]` is what `default_fallbacks` says."""
    targets = settings.fallbacks.get(EVERY_GROUP)
    if targets is None:
        return settings
    if settings.default_fallbacks:
        problems.add(at(at(place, "fallbacks"), EVERY_GROUP), "is another way to write default_fallbacks; give one")
    others = {name: listed for name, listed in settings.fallbacks.items() if name != EVERY_GROUP}
    return settings.model_copy(update={"fallbacks": others, "default_fallbacks": targets})


def _with_drop_params(settings: RouterSettings, place: str, problems: Problems) -> RouterSettings:
    """The parameter that LiteLLM's users know as a setting."""
    given, defaults = settings.drop_params, settings.default_litellm_params
    if given is None:
        return settings
    if defaults.get("drop_params", given) != given:
        said = f"contradicts {at(place, 'default_litellm_params')}.drop_params; give one of them"
        problems.add(at(place, "drop_params"), said)
    return settings.model_copy(update={"default_litellm_params": {**defaults, "drop_params": given}})


def _draft_all(model_list: object, defaults: Fields, builder: Builder, problems: Problems) -> list[Draft | None]:
    if not isinstance(model_list, list | tuple):
        problems.add("model_list", f"must be a list of mappings, not {type(model_list).__name__}")
        return [None]
    return [builder.draft(entry, at("model_list", index), defaults) for index, entry in enumerate(model_list)]


def load(
    model_list: Sequence[Mapping[str, object]],
    settings: Mapping[str, object],
    *,
    place: str = "",
    environ: Environment | None = None,
    problems: Problems | None = None,
) -> tuple[tuple[Deployment, ...], RouterSettings]:
    """Deployments and settings of one Router.

    `place` is what the settings stand under: nothing for the arguments of a Router, `router_settings` for a file.
    `environ` replaces the process's environment. Raises `ConfigurationError` with every problem of both, and those
    that `problems` has already.
    """
    problems = Problems() if problems is None else problems
    read = _read_settings(settings, place, problems, environ)
    builder = Builder(problems, environ)
    defaults = builder.defaults(read.default_litellm_params, at(place, "default_litellm_params"))
    drafts = _draft_all(model_list, defaults, builder, problems)
    deployments = settle_ids([draft for draft in drafts if draft is not None], problems)
    check_references(read, () if None in drafts else deployments, place, problems)
    problems.raise_any()
    return deployments, read


def parse_settings(raw: Mapping[str, object], *, place: str = "", environ: Environment | None = None) -> RouterSettings:
    """The settings alone; names of groups are not looked up. Raises `ConfigurationError`."""
    return load([], raw, place=place, environ=environ)[1]


def build_deployments(
    model_list: Sequence[Mapping[str, object]],
    defaults: Mapping[str, object] | None = None,
    *,
    environ: Environment | None = None,
) -> tuple[Deployment, ...]:
    """The deployments of a `model_list`, over `default_litellm_params`. Raises `ConfigurationError`."""
    return load(model_list, {"default_litellm_params": defaults or {}}, environ=environ)[0]


def build_deployment(
    entry: Mapping[str, object],
    defaults: Mapping[str, object] | None = None,
    *,
    place: str = "deployment",
    taken: Container[str] = (),
    environ: Environment | None = None,
) -> Deployment:
    """One deployment. A derived id avoids those in `taken`. Raises `ConfigurationError`."""
    problems = Problems()
    builder = Builder(problems, environ)
    draft = builder.draft(entry, place, builder.defaults(defaults or {}, "default_litellm_params"))
    deployments = settle_ids([draft] if draft else [], problems, taken)
    problems.raise_any()
    return deployments[0]


def validate(settings: RouterSettings, deployments: Sequence[Deployment], *, place: str = "") -> None:
    """Check that every group `settings` names exists. Raises `ConfigurationError`."""
    problems = Problems()
    check_references(settings, deployments, place, problems)
    problems.raise_any()
