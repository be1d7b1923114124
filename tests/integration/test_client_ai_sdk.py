"""Vercel's AI SDK, in Node.js, holds conversations through the proxy."""

import json

from conversations import KEY, house
from npm_clients import CLIENTS, installed, node, run

SUNNY = "The tool said: 'sunny in Paris'"


def test_the_ai_sdk_holds_conversations_by_id_by_reference_and_by_history() -> None:
    modules = installed()
    script = modules.parent / "talk.mjs"  # Node.js looks for packages beside the script
    script.write_bytes((CLIENTS / "talk.mjs").read_bytes())
    with house() as home:
        said = json.loads(run([node(), str(script), home.url, KEY], {}, modules.parent, 60.0))
        assert sorted(said) == ["streamed", "whole"]
        for told in said.values():
            assert told["shaped"] == {"name": "text", "people": 1}
            for way in ("byId", "byHistory", "thinking", "openResponses"):
                first, then = told[way]
                assert SUNNY in first
                assert then.startswith("Turn 2 at u")
        assert home.came_home() == 10  # whole and streamed: one by id, one by reference, three with reasoning
        assert home.all_served()
