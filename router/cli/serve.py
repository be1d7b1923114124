"""`homing serve`: the proxy of a configuration file, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from functools import partial
from typing import TYPE_CHECKING

from providers.errors import ConfigurationError

if TYPE_CHECKING:
    import socket
    from argparse import _SubParsersAction  # argparse has no public name for it

    from router.config.proxy_file import ProxyConfig
    from router.router import Router

_LEVELS = ("debug", "info", "warning", "error")
_EPILOG = """\
examples:
  homing serve --config config.yaml
      serve the groups of config.yaml at http://127.0.0.1:4000, with and without /v1
  homing serve --config config.yaml --host 0.0.0.0 --port 80 --json-logs
      for other machines, which needs a master_key; with a log that programs read

signals:
  SIGTERM, SIGINT (Ctrl-C)  take no more requests, let those that are there end for --grace seconds, exit with 0
  SIGHUP                    read the configuration again: its deployments take the place of the former ones at once,
                            what is in flight ends where it is; with a problem in it, nothing changes. What needs a
                            new start is said in the log.
"""


def register(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="serve the deployments of a configuration to every client of OpenAI's API",
        description="Serve the Responses API and chat completions over the deployments of a configuration.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", "-c", required=True, metavar="FILE", help="a configuration, as YAML or JSON")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=4000, help="default: 4000; 0: a free one")
    parser.add_argument(
        "--grace", type=float, default=30.0, metavar="S", help="seconds that streams may take to end (default: 30)"
    )
    parser.add_argument("--reload", action="store_true", help="read the configuration again when it has changed, too")
    parser.add_argument(
        "--allow-unauthenticated", action="store_true", help="let other machines in even if there is no master_key"
    )
    parser.add_argument("--log-level", choices=_LEVELS, default="info", help="default: info, a line for each call")
    parser.add_argument("--json-logs", action="store_true", help="log as lines of JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 0, or 2 if it can't be served as asked."""
    from router.config.proxy_file import read_proxy_config
    from router.proxy import launch
    from router.proxy.server import listen

    try:
        config = read_proxy_config(arguments.config)
        launch.check_exposure(arguments.host, config, allowed=arguments.allow_unauthenticated)
        with listen(arguments.host, arguments.port) as listening, config.exported() as environ:
            _log(arguments.log_level, as_json=arguments.json_logs)
            greet = partial(_greet, config, listening)
            launch.Launch(config, environ, arguments.grace, arguments.reload, greet).run(listening)
    except ConfigurationError as error:
        print(f"homing serve: {error}", file=sys.stderr)
        return 2
    return 0


def _log(level: str, *, as_json: bool) -> None:
    """Log to stderr. The formatter knows the secrets that the environment holds now."""
    from router.telemetry.logs import JsonFormatter

    out = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    out.setFormatter(JsonFormatter() if as_json else plain)
    logging.basicConfig(level=level.upper(), handlers=[out], force=True)
    if level != "debug":  # what happens to the server's process is of no use to most
        logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _greet(config: ProxyConfig, listening: socket.socket, router: Router) -> None:
    """Say where it serves what, and how to try it."""
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    groups: dict[str, int] = {}
    for each in router.get_model_list():
        name = str(each["model_name"])
        groups[name] = groups.get(name, 0) + 1
    print(f"Homing Router serves at {url} (with and without /v1); Ctrl-C stops it.")
    for name, count in groups.items():
        print(f"  {name}: {count} deployment{'s' if count > 1 else ''}")
    for note in config.notes:
        print(f"note: {note}")
    body = json.dumps({"model": next(iter(groups), "gpt"), "input": "Hello"})
    key = " -H 'authorization: Bearer '\"$KEY\"" if config.general.master_key else ""
    print(f"Try: curl {url}/v1/responses{key} -H 'content-type: application/json' -d '{body}'", flush=True)
