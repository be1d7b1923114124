"""Runs the proxy of a configuration file: its Router, its server, and their end."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from providers.errors import ConfigurationError
from router.config.proxy_file import ProxyConfig, placed
from router.proxy.app import Proxy
from router.proxy.connection.files import allow_most
from router.proxy.reloading import Reloader
from router.proxy.server import loop_factory, server
from router.proxy.settings import ProxySettings
from router.router import Router
from router.transport.base import Transport

_COLLECTION = (10_000, 20, 50)
"""Objects, and rounds of the generations before it, until each generation of objects is collected."""
_HOME = frozenset({"responses_api_deployment_check", "responses_api_deployment"})
"""Names of the check that knows whose a response is."""
_ENDING = (signal.SIGINT, signal.SIGTERM)


def make_router(config: ProxyConfig, settings: Mapping[str, object] | None = None) -> Router:
    """The Router of a file. `settings`: instead of its own. Raises `ConfigurationError` that names the file's line."""
    given = cast("dict[str, Any]", config.router_settings if settings is None else settings)  # checked already
    given = _with_homes(given) if config.general.keys else given
    try:
        return Router(config.model_list, callbacks=config.callbacks, http_client=_transport(), **given)
    except ConfigurationError as error:
        raise placed(config, error) from None


def _transport() -> Transport | None:
    """What costs least for each request; None, the Router's own, where it can't be had."""
    try:
        from router.transport.lean_transport import LeanTransport
    except ImportError:  # without httptools
        return None
    return LeanTransport()


def _with_homes(settings: dict[str, Any]) -> dict[str, Any]:
    """`settings` with the check that knows whose a response is."""
    named = cast("list[str]", settings.get("optional_pre_call_checks") or [])
    if not _HOME.isdisjoint(named):
        return settings
    return {**settings, "optional_pre_call_checks": [*named, "responses_api_deployment_check"]}


def check_exposure(host: str, config: ProxyConfig, *, allowed: bool) -> None:
    """Raises `ConfigurationError` if others than this machine could use the proxy without a key, unless `allowed`."""
    keyed = config.general.master_key is not None or config.general.keys
    if not keyed and not allowed and not _is_loopback(host):
        raise ConfigurationError(
            f"whoever reaches {host} could use the proxy; set general_settings.master_key in {config.files[0]}, "
            "or say --allow-unauthenticated"
        )


@dataclass(frozen=True, slots=True)
class Launch:
    """How a proxy is run."""

    config: ProxyConfig
    environ: Mapping[str, str]
    """The process's environment without what the configuration gives."""
    grace: float = 30.0
    """Seconds that streams may take to end when it is stopped."""
    watch: bool = False
    """Whether the file is read again when it has changed, not only at SIGHUP."""
    ready: Callable[[], None] = lambda: None
    """Called in the event loop, once the Router is there."""

    def run(self, listening: socket.socket) -> None:
        """Serve until SIGINT or SIGTERM. Only in the main thread. Raises `ConfigurationError`."""
        allow_most()
        with _ended_by_signals(), asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(self._serve(listening))

    async def _serve(self, listening: socket.socket) -> None:
        router = make_router(self.config)
        proxy = Proxy(router, ProxySettings.of(self.config.general))
        reloader = Reloader(router, proxy.keys, self.config, self.environ)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, reloader.ask)
        tasks = [loop.create_task(reloader.run())]
        if self.watch:
            tasks.append(loop.create_task(reloader.watch()))
        try:
            running = server(proxy, grace=self.grace)
            self.ready()
            _collect_seldom()
            await running.serve(sockets=[listening])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await router.aclose()  # which the proxy has done, unless the server failed


def _collect_seldom() -> None:
    """Spare the collector what lives as long as the process, and most of its rounds: a tenth of a request's time.

    This process is the proxy's own. Nearly all that a request leaves behind is freed without the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTION)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The server repeats the signal that ended it, once it has ended: that must not end the process as a failure."""
    former = {number: signal.signal(number, _ignore) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: object) -> None:
    """What remains to be done about a signal that the server has heeded."""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
