"""`homing check`: whether a configuration is right, and the routing that it yields."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text

from providers.errors import ConfigurationError
from router.cli import exits
from router.cli.keys import limits
from router.cli.output import console, sheet
from router.cli.parsing import Commands, takes_file

if TYPE_CHECKING:
    from router.config.keys import ConfiguredKey
    from router.config.proxy_file import ProxyConfig
    from router.router import Router

_EPILOG = """\
examples:
  homing check config.yaml
      every problem with its file and line, or the groups, deployments, checks
      and fallbacks there will be
  homing check config.yaml --json | jq '.groups'
  homing check --schema > homing.schema.json
      for editors: put this on top of config.yaml:
      # yaml-language-server: $schema=homing.schema.json

Nothing is sent and nothing is connected to; variables that the file refers to
must be set.
"""
_QUIET = {"price_updates": False, "health_check_interval": 1e9}
"""Settings with which a Router asks nobody by itself: no health check is due before it is closed."""
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="check a configuration, and show the routing that it yields",
        description=(
            "Check a configuration, and show the routing that it yields.\n"
            "The exit code is 0 if it is right, 1 if it is not, 2 if the question is wrong."
        ),
        epilog=_EPILOG,
    )
    takes_file(parser.add_argument("config", nargs="?", metavar="CONFIG", help="a configuration, as YAML or JSON"))
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of configurations instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it; 0, 1 if the configuration is wrong, 2 if the question is."""
    from router.config.file_schema import file_schema

    if arguments.schema:
        print(json.dumps(file_schema(), indent=2))
        return exits.OK
    if arguments.config is None:
        print("homing check: name a configuration, or say --schema", file=sys.stderr)
        return exits.USAGE
    try:
        found = _found(arguments.config)
    except ConfigurationError as error:
        problems = str(error).split("\n  ")
        if arguments.json:
            print(json.dumps({"valid": False, "problems": problems[1:] or problems}, indent=2))
        else:
            print(f"homing check: {error}", file=sys.stderr)
        return exits.FOUND
    if arguments.json:
        print(json.dumps({"valid": True, **found}, indent=2))
    else:
        _show(found)
    return exits.OK


def _found(path: str) -> dict[str, Any]:
    """What a configuration yields, as plain data. Raises `ConfigurationError`."""
    from router.config.proxy_file import read_proxy_config
    from router.proxy.launch import make_router

    config = read_proxy_config(path)
    offline = {**config.router_settings, **_QUIET}
    with config.exported(), make_router(config, offline) as router:
        return _described(config, router)


def _described(config: ProxyConfig, router: Router) -> dict[str, Any]:
    settings = router._settings
    groups: dict[str, list[Any]] = {}
    for each in router.get_model_list():
        groups.setdefault(cast("str", each["model_name"]), []).append(each)
    strategies = {name: group.routing_strategy for group in settings.routing_groups for name in group.models}
    return {
        "file": config.files[0],
        "includes": list(config.files[1:]),
        "groups": [
            {
                "name": name,
                "strategy": strategies.get(name, settings.routing_strategy),
                "deployments": members,
                "fallbacks": {
                    field: [target.model for target in targets]
                    for field in _FALLBACKS
                    if (targets := getattr(settings, field).get(name))
                },
            }
            for name, members in groups.items()
        ],
        "aliases": {name: alias.model for name, alias in settings.model_group_alias.items()},
        "default_fallbacks": [target.model for target in settings.default_fallbacks],
        "checks": [type(check).__name__ for check in router._given],
        "callbacks": list(config.callbacks),
        "master_key": config.general.master_key is not None,
        "keys": [_key(key) for key in config.general.keys],
        "redis": settings.redis() is not None,
        "notes": list(config.notes),
    }


def _key(key: ConfiguredKey) -> dict[str, Any]:
    """A virtual key, without what is secret of it."""
    terms = key.model_dump(exclude={"key", "key_hash", "metadata"}, exclude_defaults=True)
    return {**terms, "models": list(key.models)}


def _show(found: dict[str, Any]) -> None:
    out = console()
    names = ("group", "deployment", "model")
    table = sheet(*names, "dialect", "strategy", folded=names)
    for group in found["groups"]:
        for number, each in enumerate(group["deployments"]):
            params = each["litellm_params"]
            first = ("", "") if number else (group["name"], group["strategy"])
            cells = (first[0], each["model_info"]["id"], params["model"], params["dialect"], first[1])
            table.add_row(*(Text(str(cell)) for cell in cells))
    out.print(table)
    for name, model in found["aliases"].items():
        out.print(Text(f"alias: {name} → {model}"))
    for group in found["groups"]:
        for field, targets in group["fallbacks"].items():
            out.print(Text(f"{field}: {group['name']} → {', '.join(targets)}"))
    for name in ("default_fallbacks", "checks", "callbacks"):
        out.print(Text(f"{name}: {', '.join(found[name]) or 'none'}"))
    alone = "none: nobody is the operator" if found["keys"] else "none: only this machine may use the proxy"
    out.print(f"master key: {'set' if found['master_key'] else alone}")
    for key in found["keys"]:
        models = ", ".join(key["models"]) or "all models"
        state = ", blocked" if key.get("blocked") else ""
        out.print(Text(f"key: {key['key_alias']}: {models}; {limits(key) or 'no limits'}{state}"), soft_wrap=True)
    out.print(f"Redis: {'shared with others that use it' if found['redis'] else 'none: memory of one process'}")
    for note in found["notes"]:
        out.print(Text(f"note: {note}", "dim"), soft_wrap=True)
    out.print(Text(f"{found['file']} is right.", "green"))
