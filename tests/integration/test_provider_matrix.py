"""Every feature at every provider, through a Router and over real sockets: it works, or is refused, or is told of."""

import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from provider_stages import Stage, stages
from providers_matrix import LEGEND, PDF, PIXEL, RECORDED, Trial, column, markdown, recorded

from router.cli import main

STAGES = stages()
TITLES = [stage.title for stage in STAGES]
README = (Path(__file__).parents[2] / "README.md").read_text()


@asynccontextmanager
async def files() -> AsyncIterator[str]:
    """A server of an image and a document."""

    async def serve(request: web.Request) -> web.Response:
        image = request.path.endswith(".png")
        kind = "image/png" if image else "application/pdf"
        return web.Response(body=base64.b64decode(PIXEL if image else PDF), content_type=kind)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("stage", STAGES, ids=TITLES)
async def test_what_works_at_a_provider(stage: Stage) -> None:
    async with files() as place, stage.play():
        cells = await column(Trial(stage, place))
    if os.environ.get("WRITE_MATRIX"):
        found = {**recorded(), stage.title: cells}
        RECORDED.write_text(json.dumps({title: found[title] for title in TITLES if title in found}, indent=1) + "\n")
    assert recorded()[stage.title] == cells


def test_nothing_is_dropped_in_silence() -> None:
    """Each cell is one of four, and every provider has been asked for everything."""
    columns = recorded()
    assert list(columns) == TITLES
    assert len({tuple(cells) for cells in columns.values()}) == 1
    assert {cell for cells in columns.values() for cell in cells.values()} == set(LEGEND)


def test_the_readme_shows_it() -> None:
    assert markdown(recorded()) in README


def test_the_readme_shows_the_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "--format", "md"]) == 0
    assert capsys.readouterr().out in README
