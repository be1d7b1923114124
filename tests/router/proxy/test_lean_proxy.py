"""What `homing serve` sends with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from providers.errors import ConfigurationError
from router.config.proxy_file import read_proxy_config
from router.proxy.launch import make_router
from router.transport.aiohttp_transport import AiohttpTransport
from router.transport.lean_transport import LeanTransport


@pytest.mark.parametrize("there", [True, False])
async def test_the_lean_transport_where_httptools_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model_list: [{model_name: gpt, litellm_params: {model: openai/gpt, api_key: k}}]\n")
    if not there:
        monkeypatch.delitem(sys.modules, "router.transport.lean_transport")
        monkeypatch.delitem(sys.modules, "router.transport.wire")
        monkeypatch.setitem(sys.modules, "httptools", None)
    async with make_router(read_proxy_config(str(file), {})) as router:
        assert type(router._transport) is (LeanTransport if there else AiohttpTransport)


def test_a_wrong_setting_is_still_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model_list: [{model_name: gpt, litellm_params: {model: openai/gpt, api_base: 7}}]\n")
    with pytest.raises(ConfigurationError, match="api_base"):
        make_router(read_proxy_config(str(file), {}))
