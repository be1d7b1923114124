"""`homing keys`: the virtual keys of a running proxy."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from rich.text import Text

from router.cli import exits
from router.cli.output import console, sheet
from router.cli.parsing import Commands, Parser

MASTER_KEY: Final = "LITELLM_MASTER_KEY"
"""The environment variable that holds the master key: the proxy reads it too, where its file has none."""
PATIENCE: Final = 30.0
"""Seconds that the proxy may take to answer."""
_URL: Final = "http://127.0.0.1:4000"
_EXAMPLES: Final = f"""\
examples:
  homing keys create --alias web --model gpt-5 --rpm 60
      a key for one group, with a limit; it is shown this once
  homing keys create --max-budget 10 --budget-duration 1d --duration 30d
      one that may spend ten dollars a day, for thirty days
  homing keys list
  homing keys rotate web
      another key in the place of the one called web, with all that it has;
      the old one is refused from now on
  homing keys revoke web
  homing keys hash --new
      a key for general_settings.keys of a configuration, and its key_hash,
      without asking anybody

The proxy is asked over HTTP, with the master key that {MASTER_KEY}
holds: so this works from any machine, needs to know nothing of its Redis, and
whoever lets keys in has checked them. Name keys by their alias or token: a key
itself will do, but stays in the history of the shell.
"""
_TERMS: Final[Sequence[tuple[str, str, type, str, str]]] = (
    ("--alias", "key_alias", str, "NAME", "what people know the key by; in records and metrics too"),
    ("--max-budget", "max_budget", float, "DOLLARS", "what may be spent in --budget-duration"),
    ("--budget-duration", "budget_duration", str, "TIME", "1h, 1d, 1mo, ...; without it the budget is for ever"),
    ("--rpm", "rpm_limit", int, "N", "requests in any minute"),
    ("--tpm", "tpm_limit", int, "N", "tokens in any minute"),
    ("--parallel", "max_parallel_requests", int, "N", "requests in flight at a time"),
    ("--duration", "duration", str, "TIME", "for how long it is good: 30d; without it until it is revoked"),
    ("--tenant", "tenant", str, "NAME", "keys of one tenant share their responses"),
    ("--team", "team_id", str, "ID", "as --tenant, by LiteLLM's name"),
    ("--user", "user_id", str, "ID", "who has it; told in records"),
)
_MODEL: Final = "a group that it is for, * for any part of the name; may be repeated; without it for all"


class _RefusedError(Exception):
    """It was not done; why."""


def register(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "keys",
        help="make, list, rotate and revoke the keys of a running proxy",
        description="Make, list, rotate and revoke the virtual keys of a running proxy.",
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    create = _action(actions, "create", "make a key, which is shown this once")
    for option, name, kind, metavar, told in _TERMS:
        create.add_argument(option, dest=name, type=kind, metavar=metavar, help=told)
    create.add_argument(
        "--model",
        action="append",
        dest="models",
        metavar="NAME",
        help="for these alone; may be repeated, * is any part",
    )
    create.add_argument("--metadata", type=json.loads, metavar="JSON", help="whatever else is to be kept of it")
    _action(actions, "list", "list all keys")
    for name, told in (("show", "show what a key is good for"), ("rotate", "put another key in the place of one")):
        _action(actions, name, told).add_argument("key", metavar="KEY", help="its alias or token")
    revoke = _action(actions, "revoke", "refuse keys from now on, all of these or none")
    revoke.add_argument("keys", nargs="+", metavar="KEY", help="alias or token")
    hashed = actions.add_parser("hash", help="tell the key_hash of a key that is read from stdin, for a configuration")
    hashed.add_argument("--new", action="store_true", help="make a key, and tell both")
    hashed.set_defaults(run=_hash)


def _action(actions: Commands, name: str, told: str) -> Parser:
    parser = actions.add_parser(name, help=told, description=f"{told.capitalize()}.")
    parser.add_argument("--url", default=_URL, help=f"where the proxy is (default: {_URL})")
    parser.add_argument(
        "--master-key-env", default=MASTER_KEY, metavar="NAME", help=f"variable with the master key ({MASTER_KEY})"
    )
    parser.add_argument("--json", action="store_true", help="print what the proxy answers")
    parser.set_defaults(run=run, action=name)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Ask the proxy, print its answer; 0, 1 if it was refused, 2 if there is no master key to show."""
    key = os.environ.get(arguments.master_key_env)
    if not key:
        print(f"homing keys: put the proxy's master key into {arguments.master_key_env}", file=sys.stderr)
        return exits.USAGE
    try:
        found = _done(arguments, key)
    except _RefusedError as error:
        print(f"homing keys: {error}", file=sys.stderr)
        return exits.FOUND
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        _SHOWN[arguments.action](found)
    return exits.OK


def _done(arguments: argparse.Namespace, key: str) -> Any:
    """What the proxy answers. Raises `_RefusedError`."""
    match arguments.action:
        case "create":
            names = [name for _, name, *_ in _TERMS] + ["models", "metadata"]
            given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
            return _ask(arguments.url, key, "POST", "/key/generate", given)
        case "rotate":
            return _ask(arguments.url, key, "POST", f"/key/{quote(arguments.key, safe='')}/regenerate", {})
        case "revoke":
            return _ask(arguments.url, key, "POST", "/key/delete", {"keys": arguments.keys})
        case "show":
            return _ask(arguments.url, key, "GET", f"/key/info?key={quote(arguments.key, safe='')}")["info"]
        case _:
            return _all(arguments.url, key)


def _all(url: str, key: str) -> list[Any]:
    keys: list[Any] = []
    page = pages = 1
    while page <= pages:
        told = _ask(url, key, "GET", f"/key/list?return_full_object=true&size=1000&page={page}")
        keys += told["keys"]
        page, pages = page + 1, told["total_pages"]
    return keys


def _ask(url: str, key: str, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    import httpx

    headers = {"authorization": f"Bearer {key}"}
    try:
        answer = httpx.request(method, url.rstrip("/") + path, json=body, headers=headers, timeout=PATIENCE)
        told = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _RefusedError(
            f"the proxy at {url} does not answer: {error}; is it running, and is --url right?"
        ) from None
    except ValueError:
        raise _RefusedError(f"what is at {url} is no Homing Router: it answers {method} {path} with no JSON") from None
    if answer.status_code != 200:
        refusal = told.get("error") if isinstance(told, dict) else None
        said = refusal.get("message") if isinstance(refusal, dict) else None
        raise _RefusedError(str(said or f"it answers {answer.status_code}"))
    return told


def _hash(arguments: argparse.Namespace) -> int:
    """Print a key's hash, without asking anybody; 0, or 2 if it is no key."""
    from router.config.keys import SHORTEST, digest
    from router.proxy.keys.shown import new_key

    key = new_key() if arguments.new else sys.stdin.readline().strip()
    if len(key) < SHORTEST:
        print(f"homing keys: a key has at least {SHORTEST} characters; give it on stdin, or say --new", file=sys.stderr)
        return exits.USAGE
    if arguments.new:
        print(f"key: {key}")
    print(f"key_hash: {digest(key)}")
    return exits.OK


def _show_made(made: dict[str, Any]) -> None:
    _show_one({name: value for name, value in made.items() if name != "key"})
    print("\nThe key, which is shown this once:")
    print(made["key"])


def _show_one(told: dict[str, Any]) -> None:
    for name, value in told.items():
        if value not in (None, [], {}, False):
            print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


def _show_all(keys: list[dict[str, Any]]) -> None:
    table = sheet("key", "token", "models", "limits", "expires", "from", folded=("key", "models", "limits"))
    for each in keys:
        state = " (blocked)" if each["blocked"] else ""
        name, models = (each["key_alias"] or "-") + state, ", ".join(each["models"]) or "all"
        expires = (each["expires"] or "never").partition("T")[0]
        cells = (name, each["token"], models, limits(each) or "none", expires, each["source"])
        table.add_row(*(Text(str(cell)) for cell in cells))
    console().print(table)


def limits(key: Mapping[str, Any]) -> str:
    """What a key may use, in words."""
    words = [
        f"{key[name]:,} {unit}"
        for name, unit in (
            ("rpm_limit", "rpm"),
            ("tpm_limit", "tpm"),
            ("max_parallel_requests", "at a time"),
        )
        if key.get(name) is not None
    ]
    if key.get("max_budget") is not None:
        words.append(f"${key['max_budget']:g} per {key.get('budget_duration') or 'lifetime'}")
    return ", ".join(words)


def _show_revoked(told: dict[str, Any]) -> None:
    for name in told["deleted_keys"]:
        print(f"revoked: {name}")


_SHOWN: Final[Mapping[str, Callable[[Any], None]]] = {
    "create": _show_made,
    "rotate": _show_made,
    "show": _show_one,
    "list": _show_all,
    "revoke": _show_revoked,
}
