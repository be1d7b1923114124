"""What the ids tell that translators mint."""

from __future__ import annotations

from typing import Any

import pytest
from toy_dialect import DEPLOYMENT, frames, toy, toy_call

from providers.translation.ids import is_minted, response_of
from providers.translation.translator import Translator


def test_minted_ids_are_known_and_lead_from_an_item_to_its_response() -> None:
    acts: list[Any] = [
        {"act": "start"},
        {"act": "text", "of": ["Hello"]},
        {"act": "call", "of": ["call_1", "look"]},
        {"act": "finish"},
    ]
    translator: Translator = type(toy())("toys")  # with ids as they really are
    decoder = translator.events(toy_call(), DEPLOYMENT)
    events = [*decoder.feed(frames(acts)), *decoder.end()]
    response = events[-1].to_dict()["response"]
    assert isinstance(response, dict)
    output = response["output"]
    assert isinstance(output, list)
    assert len(output) == 2
    assert is_minted(str(response["id"]))
    for item in output:
        assert isinstance(item, dict)
        assert response_of(str(item["id"])) == response["id"]


@pytest.mark.parametrize("name", ["", "resp_1", "resp_" + "a" * 50, "msg_1", "rs_" + "0" * 51, "x" + "0" * 36])
def test_other_ids_are_not(name: str) -> None:
    assert not is_minted(name)
    assert response_of(name) is None
