"""What a call becomes in Google's dialect. Every body is checked as the real services check theirs."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from fake_gemini import KEY
from gemini_talk import AT_CLOUD, AT_STUDIO, CLOUD, STUDIO, call, encoded, noted, written
from pydantic import SecretStr

from providers.errors import BadRequestError
from providers.generate_content.signatures import UNSIGNED, sealed
from providers.generate_content.table import GEMINI, VERTEX
from providers.translation.parameters import RESPONSES, Outcome
from providers.types import Call, Verb

USER = {"role": "user", "content": "Weather?"}
ANSWER = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
CALLED = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Bern"}'}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}
SEARCH = {"type": "web_search"}


def refused(where: str, **body: Any) -> BadRequestError:
    """The refusal of a call, which `drop_params` turns into a note at the same place."""
    model = body.pop("model", "gemini-3-flash")
    given = body.pop("input", "Hi")
    with pytest.raises(BadRequestError) as caught:
        encoded(call(given, **body), model=model)
    assert caught.value.param == where
    request = encoded(call(given, **body), model=model, drop_params=True)
    assert [note.partition(":")[0] for note in request.dropped] == [where]
    return caught.value


def wrong(where: str, input: Any = "Hi", **body: Any) -> str:
    """What is said of a call that nothing can be made of."""
    with pytest.raises(BadRequestError) as caught:
        encoded(call(input, **body), drop_params=True)
    assert caught.value.param == where
    return caught.value.message


# where it goes


def test_whole_replies_and_streams_have_methods_of_their_own() -> None:
    base = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash"
    assert encoded(call()).url == f"{base}:generateContent"
    request = encoded(call(stream=True))
    assert request.url == f"{base}:streamGenerateContent?alt=sse"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["x-goog-api-key"] == KEY
    assert KEY not in request.url


def test_vertex_is_told_who_calls_by_a_token() -> None:
    request = encoded(call(), vertex=True)
    assert request.url.startswith("https://us-central1-aiplatform.googleapis.com/v1beta1/projects/acme/")
    assert request.headers["authorization"] == "Bearer t"
    assert "x-goog-api-key" not in request.headers


class _Payer:
    quota_project = "payer"

    def __call__(self) -> str:
        return "t"


def test_another_project_may_be_billed() -> None:
    request = encoded(call(), vertex=True, token_source=_Payer())
    assert request.headers["x-goog-user-project"] == "payer"
    own = encoded(call(), vertex=True, token_source=_Payer(), headers={"X-Goog-User-Project": "mine"})
    assert own.headers["x-goog-user-project"] == "mine"


def test_who_calls_may_stand_in_headers_of_ones_own() -> None:
    bare = encoded(call(), api_key=None, headers={"X-Goog-Api-Key": "mine"})
    assert bare.headers["x-goog-api-key"] == "mine"
    assert "x-goog-api-key" not in encoded(call(), api_key=None).headers


def test_a_token_given_for_a_key_is_a_token() -> None:
    headers = encoded(call(), api_key=SecretStr("ya29.x")).headers
    assert headers["authorization"] == "Bearer ya29.x"
    assert "x-goog-api-key" not in headers


def test_query_strings_are_joined() -> None:
    request = STUDIO.encode(
        Call("google", body={"input": "Hi"}, stream=True, query={"a": "1"}),
        AT_STUDIO,
    )
    assert request.url.endswith(":streamGenerateContent?a=1&alt=sse")
    assert encoded(call(), api_base="http://gw?k=v", query={"x": "y"}).url.endswith(":generateContent?k=v&x=y")


def test_wildcards_name_the_model() -> None:
    asked = Call("google", body={"input": "Hi"}, wildcard="gemini-9-pro")
    request = STUDIO.encode(asked, replace(AT_STUDIO, model="*"), None)
    assert "/models/gemini-9-pro:" in request.url


@pytest.mark.parametrize("verb", [Verb.COMPACT, Verb.INPUT_TOKENS])
def test_there_is_one_operation(verb: Verb) -> None:
    with pytest.raises(BadRequestError, match=f"gemini has no operation {verb}"):
        STUDIO.encode(Call("google", verb), AT_STUDIO)


# what is said


def test_a_text_is_one_user_turn() -> None:
    assert written() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_instructions_and_what_the_system_says_first_are_the_instruction() -> None:
    body = written(
        [
            {"role": "system", "content": "One."},
            {"role": "developer", "content": [{"type": "input_text", "text": "Two."}]},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Yes?"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "developer", "content": "Three."},
            {"role": "user", "content": "Go"},
        ],
        instructions="Zero.",
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Zero."}, {"text": "One."}, {"text": "Two."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "Yes?"}, {"text": "No."}]},
        {"role": "user", "parts": [{"text": "Three."}, {"text": "Go"}]},
    ]


def test_history_comes_first() -> None:
    asked = Call("google", body={"input": "And?"}, history=({"role": "user", "content": "Hi"}, _message("Yes?")))
    body = json.loads(encoded(asked).content)
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]


def _message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


@pytest.mark.parametrize("nothing", ["", [], [{"role": "system", "content": "Be brief."}]])
def test_something_must_be_said(nothing: Any) -> None:
    assert "must hold a message" in wrong("input", nothing)


# tools


def test_calls_and_answers_are_turns_and_parallel_ones_one_turn() -> None:
    second = {**CALLED, "call_id": "c2", "arguments": ""}
    failed = {"type": "function_call_output", "call_id": "c2", "output": "no", "status": "failed"}
    body = written([USER, CALLED, second, ANSWER, failed, {"role": "user", "content": "So?"}], model="gemini-2.5-pro")
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Bern"}}},
                {"functionCall": {"id": "c2", "name": "weather", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sunny"}}},
                {"functionResponse": {"id": "c2", "name": "weather", "response": {"error": "no"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "So?"}]},
    ]


@pytest.mark.parametrize(
    ("output", "response"),
    [
        ('{"a": 1}', {"output": {"a": 1}}),
        ("{not json", {"output": "{not json"}),
        ("[1]", {"output": "[1]"}),
        ("", {"output": ""}),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], {"output": "ab"}),
    ],
)
def test_answers_are_objects(output: Any, response: dict[str, Any]) -> None:
    body = written([USER, CALLED, {**ANSWER, "output": output}])
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == response


PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,aQ=="}
INLINE = {"inlineData": {"mimeType": "image/png", "data": "aQ=="}}


def test_files_in_answers_are_parts_of_them_and_for_old_models_come_after() -> None:
    answer = {**ANSWER, "output": [{"type": "input_text", "text": "see"}, PICTURE]}
    items = [USER, CALLED, answer, {"role": "user", "content": "So?"}]
    inner = written(items)["contents"][2]["parts"][0]["functionResponse"]
    assert (inner["response"], inner["parts"]) == ({"output": "see"}, [INLINE])
    old = written(items, model="gemini-2.5-pro")["contents"]
    assert old[2]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "see"}}},
    ]
    assert old[3]["parts"] == [{"text": "Files that weather returned:"}, INLINE, {"text": "So?"}]
    assert written(items[:-1], model="gemini-2.5-pro")["contents"][3]["parts"][1] == INLINE
    for between in ([], [_message("I see.")], [reasoning({"call": "YQ=="})]):
        again = [*items[:-1], *between, {**CALLED, "call_id": "c2"}, {**ANSWER, "call_id": "c2"}]
        roles = [turn["role"] for turn in written(again, model="gemini-2.5-pro")["contents"]]
        assert roles == ["user", "model", "user", "user", "model", "user"]


def test_functions_are_declared_by_json_schema_under_names_that_google_takes() -> None:
    odd = {"type": "function", "name": "0 weather!", "description": "D", "strict": False}
    custom = {"type": "custom", "name": "run", "description": "Runs."}
    body = written([USER, {**CALLED, "name": "0 weather!"}, ANSWER], tools=[WEATHER, odd, custom])
    declared = body["tools"][0]["functionDeclarations"]
    assert declared[0] == {"name": "weather", "parametersJsonSchema": WEATHER["parameters"]}
    assert declared[1]["name"].startswith("__weather__")
    assert declared[1] == {"name": declared[1]["name"], "description": "D"}
    assert declared[2]["parametersJsonSchema"]["required"] == ["input"]
    assert body["contents"][1]["parts"][0]["functionCall"]["name"] == declared[1]["name"]
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == declared[1]["name"]
    assert "toolConfig" not in body


def test_functions_that_are_gone_keep_their_names() -> None:
    body = written([USER, {**CALLED, "name": "a b"}, ANSWER])
    names = [part["functionCall"]["name"] for part in body["contents"][1]["parts"]]
    assert names[0].startswith("a_b_")


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "name": "weather"}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_choices_are_modes(choice: Any, calling: Any) -> None:
    config = written(tools=[WEATHER], tool_choice=choice).get("toolConfig")
    assert config == (None if calling is None else {"functionCallingConfig": calling})


def test_strict_functions_are_validated_by_models_that_can() -> None:
    strict = {**WEATHER, "strict": True}
    assert written(tools=[strict])["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert written(tools=[strict], tool_choice="auto")["toolConfig"]["functionCallingConfig"]["mode"] == "VALIDATED"
    assert "toolConfig" not in written(tools=[strict], model="gemini-2.0-flash")


def test_google_has_tools_of_its_own() -> None:
    body = written(tools=[{"type": "web_search_preview_2025_03_11"}, {"type": "code_interpreter"}, {"urlContext": {}}])
    assert body["tools"] == [{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]
    assert "toolConfig" not in body
    assert "tools" not in written(tools=[SEARCH], tool_choice="none")


def test_beside_functions_its_tools_must_be_announced_and_old_models_take_either() -> None:
    body = written(tools=[WEATHER, SEARCH])
    assert body["tools"][1] == {"googleSearch": {}}
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}
    refused("tools[1]", tools=[WEATHER, SEARCH], model="gemini-2.5-flash")
    assert written(tools=[SEARCH], model="gemini-2.5-flash")["tools"] == [{"googleSearch": {}}]


def test_choices_limit_googles_tools_too() -> None:
    function, search = {"type": "function", "name": "weather"}, {"type": "web_search"}
    tools = [WEATHER, SEARCH, {"type": "code_interpreter"}]

    def chosen(*allowed: Any) -> Any:
        return written(tools=tools, tool_choice={"type": "allowed_tools", "mode": "auto", "tools": list(allowed)})

    both = chosen(function, search)
    assert both["tools"][1:] == [{"googleSearch": {}}]
    assert both["toolConfig"]["functionCallingConfig"] == {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]}
    assert chosen(function)["tools"][1:] == []
    alone = chosen(search)
    assert alone["tools"][1:] == [{"googleSearch": {}}]
    assert alone["toolConfig"]["functionCallingConfig"] == {"mode": "NONE"}


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("tools[0]", {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}),
        ("tools[0].filters", {"tools": [{**SEARCH, "filters": {"allowed_domains": ["x.org"]}}]}),
        (
            "tools[0].container.file_ids",
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]},
        ),
        ("tool_choice", {"tools": [SEARCH], "tool_choice": "required"}),
        ("tool_choice", {"tools": [WEATHER, SEARCH], "tool_choice": {"type": "web_search"}}),
        ("parallel_tool_calls", {"parallel_tool_calls": False}),
        ("max_tool_calls", {"max_tool_calls": 1}),
        ("background", {"background": True}),
        ("conversation", {"conversation": "conv_1"}),
        ("prompt", {"prompt": {"id": "p"}}),
        ("text.verbosity", {"text": {"verbosity": "low"}}),
        ("reasoning.mode", {"reasoning": {"mode": "x"}}),
        ("reasoning", {"reasoning": {"effort": "low"}, "model": "gemini-2.0-flash"}),
        ("service_tier", {"service_tier": "scale"}),
        ("tempratur", {"tempratur": 1}),
    ],
)
def test_what_google_has_no_word_for_is_refused_by_name(where: str, body: dict[str, Any]) -> None:
    assert refused(where, **body).code in ("unsupported_parameter", "unknown_parameter")


def test_hints_that_google_does_not_take_are_noted() -> None:
    tool = {**SEARCH, "user_location": {"type": "approximate", "city": "Bern"}, "search_context_size": "low"}
    body, dropped = noted(tools=[tool])
    assert body["tools"] == [{"googleSearch": {}}]
    assert [note.partition(":")[0] for note in dropped] == ["tools[0].user_location", "tools[0].search_context_size"]


# settings


def test_settings_have_names_of_their_own() -> None:
    body = written(
        max_output_tokens=9,
        temperature=0.1,
        top_p=0.2,
        top_k=3,
        seed=4,
        presence_penalty=0.5,
        frequency_penalty=0.6,
        stop="END",
        top_logprobs=2,
        safety_settings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        cached_content="cachedContents/1",
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        metadata={"a": "b"},
        store=False,
        parallel_tool_calls=True,
        truncation="disabled",
    )
    assert body["generationConfig"] == {
        "maxOutputTokens": 9,
        "temperature": 0.1,
        "topP": 0.2,
        "topK": 3,
        "seed": 4,
        "presencePenalty": 0.5,
        "frequencyPenalty": 0.6,
        "stopSequences": ["END"],
        "responseLogprobs": True,
        "logprobs": 2,
    }
    assert body["safetySettings"][0]["threshold"] == "BLOCK_NONE"
    assert body["cachedContent"] == "cachedContents/1"
    assert "labels" not in body
    assert written(stop=["a", "b"])["generationConfig"] == {"stopSequences": ["a", "b"]}
    included = written(include=["message.output_text.logprobs"])
    assert included["generationConfig"] == {"responseLogprobs": True}
    assert "generationConfig" not in written(include=["reasoning.encrypted_content"], top_logprobs=0)


def test_extra_bodies_are_joined_deeply_and_win() -> None:
    asked = Call(
        "google",
        body={"input": "Hi", "temperature": 0.1, "max_output_tokens": 5},
        extra_body={"generationConfig": {"temperature": 1.5, "mediaResolution": "MEDIA_RESOLUTION_LOW"}},
    )
    config = json.loads(encoded(asked).content)["generationConfig"]
    assert config == {"temperature": 1.5, "maxOutputTokens": 5, "mediaResolution": "MEDIA_RESOLUTION_LOW"}


@pytest.mark.parametrize(
    ("tier", "wire"),
    [("auto", None), ("default", None), ("flex", "flex"), ("priority", "priority"), ("fast", "priority")],
)
def test_tiers(tier: str, wire: str | None) -> None:
    assert written(service_tier=tier).get("serviceTier") == wire


def test_metadata_is_labels_on_vertex_as_far_as_it_may_be() -> None:
    assert written(vertex=True, metadata={"team": "blue", "run-1": ""})["labels"] == {"team": "blue", "run-1": ""}
    given = {"Team": "x", "ok": "Über", "fine": "y", **{f"k{place}": "v" for place in range(70)}}
    body, dropped = noted(vertex=True, metadata=given)
    assert len(body["labels"]) == 64
    assert len(dropped) == 9
    assert dropped[0].startswith("metadata.Team: ")
    assert "labels" not in noted(vertex=True, metadata={"A": "B"})[0]
    assert "must be an object" in _vertex_refusal(metadata="x")


def _vertex_refusal(**body: Any) -> str:
    with pytest.raises(BadRequestError) as caught:
        CLOUD.encode(call(**body), AT_CLOUD, "t")
    return caught.value.message


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("form", "config"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"responseMimeType": "application/json"}),
        (
            {"type": "json_schema", "name": "n", "strict": True, "schema": SCHEMA},
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
    ],
)
def test_forms_of_answers(form: dict[str, Any], config: Any) -> None:
    assert written(text={"format": form, "verbosity": "medium"}).get("generationConfig") == config


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("text.format.type", {"text": {"format": {"type": "xml"}}}),
        ("text.format.type", {"text": {"format": "json"}}),
        ("text.format.schema", {"text": {"format": {"type": "json_schema", "name": "n"}}}),
        ("text", {"text": "json"}),
        ("reasoning.effort", {"reasoning": {"effort": "much"}}),
        ("tools", {"tools": {}}),
        ("instructions", {"instructions": 1}),
    ],
)
def test_what_means_nothing_is_refused_whatever_may_be_dropped(where: str, body: dict[str, Any]) -> None:
    wrong(where, **body)


# thinking


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-3-flash", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash", "low", {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro-preview", "medium", {"thinkingLevel": "MEDIUM"}),
        ("gemini-4-ultra", "high", {"thinkingLevel": "HIGH"}),
        ("gemini-flash-latest", "low", {"thinkingLevel": "LOW"}),
        ("models/gemini-3-flash", "low", {"thinkingLevel": "LOW"}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 2048}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 24576}),
        ("1234567890", "high", {"thinkingBudget": 4096}),
        ("some-new-name", "minimal", {"thinkingBudget": 512}),
    ],
)
def test_efforts_are_levels_or_budgets(model: str, effort: str, config: dict[str, Any]) -> None:
    assert written(model=model, reasoning={"effort": effort})["generationConfig"] == {"thinkingConfig": config}


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-3-flash", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro", "minimal", {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "HIGH"}),
        ("gemini-3-flash", "xhigh", {"thinkingLevel": "HIGH"}),
        ("gemini-3-flash", "max", {"thinkingLevel": "HIGH"}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
    ],
)
def test_the_nearest_effort_is_taken_and_noted(model: str, effort: str, config: dict[str, Any]) -> None:
    body, dropped = noted(model=model, reasoning={"effort": effort})
    assert body["generationConfig"] == {"thinkingConfig": config}
    assert dropped[0].startswith(f"reasoning.effort: {model} ")


def test_summaries_are_thoughts_that_are_included() -> None:
    config = {"thinkingConfig": {"includeThoughts": True}}
    assert written(reasoning={"summary": "auto"})["generationConfig"] == config
    assert written(reasoning={"generate_summary": "concise", "effort": None})["generationConfig"] == config
    assert "generationConfig" not in written(reasoning={})
    assert "generationConfig" not in written(reasoning={"effort": "none"}, model="gemini-2.0-flash")


# signatures


def reasoning(*blocks: dict[str, Any], text: str = "") -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "summary": summary, "encrypted_content": sealed(*blocks)}


def test_signatures_go_back_to_the_parts_they_came_on() -> None:
    body = written(
        [
            USER,
            reasoning(text="Hm."),
            _message("Let me see: here."),
            reasoning({"text": [[12, None], [5, "dGV4dA=="]]}, {"call": "Y2FsbA=="}),
            CALLED,
            {**CALLED, "call_id": "c2"},
            ANSWER,
            {**ANSWER, "call_id": "c2"},
        ]
    )
    assert body["contents"][1]["parts"] == [
        {"text": "Let me see: "},
        {"text": "here.", "thoughtSignature": "dGV4dA=="},
        {
            "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Bern"}},
            "thoughtSignature": "Y2FsbA==",
        },
        {"functionCall": {"id": "c2", "name": "weather", "args": {"city": "Bern"}}},
    ]


def test_whole_parts_go_back_as_they_were() -> None:
    code = {"executableCode": {"code": "1", "language": "PYTHON"}, "thoughtSignature": "YQ=="}
    body = written([USER, reasoning({"part": code}), _message("One."), USER])
    assert body["contents"][1]["parts"] == [code, {"text": "One."}]


def test_a_text_that_was_changed_takes_the_last_signature() -> None:
    edited = written([USER, _message("Changed."), reasoning({"text": [[1, "YQ=="], [2, "Yg=="], [1, None]]}), USER])
    assert edited["contents"][1]["parts"] == [{"text": "Changed.", "thoughtSignature": "Yg=="}]
    nothing = written([USER, _message("Changed."), reasoning({"text": "?"}), USER])
    assert nothing["contents"][1]["parts"] == [{"text": "Changed."}]


def test_a_signature_whose_text_is_gone_stands_alone() -> None:
    body = written([USER, reasoning({"text": [[3, "YQ=="]]}), USER])
    assert body["contents"][1] == {"role": "model", "parts": [{"text": "", "thoughtSignature": "YQ=="}]}
    first = written([reasoning({"text": [[3, "YQ=="]]}), USER])
    assert first["contents"][0]["parts"] == [{"text": "", "thoughtSignature": "YQ=="}]


def test_the_signature_of_a_call_that_is_gone_signs_no_other() -> None:
    body = written([USER, reasoning({"call": "YQ=="}), _message("No."), CALLED, ANSWER])
    assert body["contents"][1]["parts"][1]["thoughtSignature"] == UNSIGNED


def test_images_of_others_are_the_models_own() -> None:
    image = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aQ=="}
    body = written([USER, image, USER])
    assert body["contents"][1] == {"role": "model", "parts": [INLINE]}
    for items in ([USER, reasoning({"image": "YQ=="}), USER], [reasoning({"image": "YQ=="}), USER]):
        assert "thoughtSignature" not in str(written(items))
    wrong("input[1].result", [USER, {**image, "result": None}, USER])


def test_calls_that_nobody_signed_are_marked_for_models_that_insist() -> None:
    items = [USER, CALLED, {**CALLED, "call_id": "c2"}, ANSWER, {**ANSWER, "call_id": "c2"}]
    parts = written(items)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [UNSIGNED, None]
    assert base64.b64decode(UNSIGNED) == b"skip_thought_signature_validator"
    assert "thoughtSignature" not in written(items, model="gemini-2.5-pro")["contents"][1]["parts"][0]


def test_steps_of_a_loop_stay_apart() -> None:
    second = [reasoning({"call": "Mg=="}), {**CALLED, "call_id": "c2"}, {**ANSWER, "call_id": "c2"}]
    body = written([USER, reasoning({"call": "MQ=="}), CALLED, ANSWER, *second])
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user", "model", "user"]
    signatures = [turn["parts"][0].get("thoughtSignature") for turn in body["contents"]]
    assert signatures == [None, "MQ==", None, "Mg==", None]


def test_reasoning_of_other_vendors_is_left_out_and_noted() -> None:
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    bare = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    body, dropped = noted([USER, foreign, bare, _message("Yes."), USER])
    assert body["contents"][1]["parts"] == [{"text": "Yes."}]
    assert dropped == ("input[1]: another vendor's reasoning means nothing to Google",)


# the table


def test_the_tables_say_something_of_every_parameter() -> None:
    for table in (GEMINI, VERTEX):
        assert set(RESPONSES) <= set(table)
        assert all(line.note for line in table.values())
    assert GEMINI["metadata"].outcome is Outcome.IGNORED
    assert VERTEX["metadata"].outcome is Outcome.MAPPED
