"""What few use costs nobody else anything: it is imported when it is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

import router

ROOT = Path(__file__).parents[3]
OPTIONAL = ("opentelemetry", "prometheus_client", "router.telemetry.otel", "router.telemetry.prometheus")


def _loaded_after(code: str) -> set[str]:
    code += f"; import sys; print(*(name for name in {OPTIONAL!r} if name in sys.modules))"
    command = [sys.executable, "-W", "error", "-c", code]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout.split())


def test_nothing_optional_is_imported_unless_it_is_asked_for() -> None:
    assert _loaded_after("import router; router.Router(callbacks=[print])") == set()
    assert _loaded_after("from router import *; OpenTelemetry, PrometheusMetrics") == set(OPTIONAL[2:])
    assert _loaded_after("import router; router.Router(callbacks=['prometheus'])") == {OPTIONAL[1], OPTIONAL[3]}
    assert _loaded_after("import router; router.Router(callbacks=['otel'])") == {OPTIONAL[0], OPTIONAL[2]}


def test_every_public_name_exists_and_no_other() -> None:
    for name in router.__all__:
        assert getattr(router, name) is not None
    with pytest.raises(AttributeError, match="OpenTelemetri"):
        router.OpenTelemetri  # type: ignore[attr-defined]  # noqa: B018 - a name that is not there
