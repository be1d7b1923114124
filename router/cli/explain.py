"""`homing explain`: where a call would go under a configuration, and why."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from providers.errors import APIError, ConfigurationError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # argparse has no public name for it

    from router.explain import Explanation

_EPILOG = """\
examples:
  homing explain config.yaml --model gpt
      the deployments of the group gpt, and what keeps any of them out
  homing explain config.yaml --model gpt --tag eu --input "$(cat prompt.txt)"
      the same for a call with this tag and this input: tags, context windows and ties in the input count
  homing explain config.yaml --model gpt --json | jq '.options[] | select(.usable) | .deployment_id'

Nothing is sent and nothing is connected to: credentials may be missing, and what Redis knows is not asked.
"""


def register(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="show where a call would go under a configuration, and why",
        description=(
            "Show which deployments may serve a call, what leaves out the others, and what the call is tied to.\n"
            "The exit code is 0 if one could serve it now, 1 if none could, 2 if the question is wrong."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", help="a configuration, as YAML or JSON")
    parser.add_argument("--model", required=True, metavar="NAME", help="a group, an alias, or a deployment's id")
    parser.add_argument("--input", default="", metavar="TEXT", help="what is asked")
    parser.add_argument("--previous-response-id", metavar="ID", help="the response that the call goes on from")
    parser.add_argument("--tag", action="append", metavar="TAG", help="a tag of the call; may be repeated")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print it; 0, 1 if no deployment could serve the call, 2 if the question is wrong."""
    from router.router import Router
    from router.simulation.configured import prepare

    params: dict[str, Any] = {"input": arguments.input}
    if arguments.previous_response_id:
        params["previous_response_id"] = arguments.previous_response_id
    if arguments.tag:
        params["litellm_metadata"] = {"tags": arguments.tag}
    try:
        config = prepare(arguments.config)
        with Router(config.model_list, **config.settings) as router:
            found = router.explain(arguments.model, **params)
    except (ConfigurationError, APIError) as error:
        print(f"homing explain: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(found, enc_hook=_error), indent=2))
    else:
        _show(found, config.notes)
    return 0 if any(option.usable for option in found.options) else 1


def _error(value: object) -> object:
    """What is no data by itself: the error that a check refuses with."""
    if isinstance(value, APIError):
        return {"type": type(value).__name__, "status": value.status_code, "code": value.code, "message": value.message}
    return str(value)


def _show(found: Explanation, notes: tuple[str, ...]) -> None:
    console = Console(highlight=False, markup=False)
    console.print(Text(f"{found.model_group}: {f'home is {found.home}' if found.home else 'no home'}", "bold"))
    for tie in found.ties:
        console.print(f"tied by {tie}")
    sheet = Table("deployment", "", "why", "dialect", box=box.SIMPLE_HEAD, pad_edge=False)
    for option in found.options:
        preferred = ", preferred" if option.deployment_id in found.preferred else ""
        mark = Text("yes", "green") if option.usable else Text("not now" if option.may_serve else "no", "red")
        sheet.add_row(Text(option.deployment_id), mark, Text(option.reason + preferred), Text(option.dialect))
    console.print(sheet)
    if found.error is not None:
        console.print(Text(f"refused: {found.error}", "red"))
    for note in notes:
        console.print(Text(f"note: {note}", "dim"))
