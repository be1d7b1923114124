"""A request for a chat completion as one for a response: what each parameter becomes."""

from __future__ import annotations

from collections.abc import Mapping

from providers.types import Json, JsonObject
from router.proxy.chat.asking import ChatCall, object_at, wrong
from router.proxy.chat.messages import items_of
from router.proxy.chat.tools import tools_of

_LOGPROBS = "message.output_text.logprobs"

_TRANSLATED = frozenset(
    {
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "web_search_options",
        "response_format",
        "verbosity",
        "reasoning_effort",
        "max_tokens",
        "max_completion_tokens",
        "logprobs",
        "top_logprobs",
        "stream_options",
        "store",
    }
)
"""What is said otherwise in the Responses API. All that stands in no list here goes on as it is."""

_NOTHING: Mapping[str, tuple[Json, ...]] = {
    "stop": (None, []),
    "seed": (None,),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "n": (None, 1),
    "logit_bias": (None, {}),
    "prediction": (None,),
    "audio": (None,),
    "modalities": (None, [], ["text"]),
    "background": (None, False),
    "input": (None,),
}
"""Values that ask for nothing, of parameters that not everybody takes: they are left out."""

_NO_WORD: Mapping[str, str] = {
    "n": "a response is one answer",
    "logit_bias": "tokens can't be favoured",
    "prediction": "a response can't be predicted",
}
"""Why a parameter can't be had. Without it there is an answer all the same."""

_NEVER: Mapping[str, str] = {
    "audio": "answers are text",
    "modalities": "answers are text",
    "background": "a chat completion can't be asked for later; use /responses",
    "input": "is said by messages",
}
"""The same of those without which the answer would be another."""


def translated(asked: Mapping[str, Json], *, drop: bool) -> ChatCall:
    """What `asked` becomes; `drop`: whether what has no word is left out.

    Raises `BadRequestError` that names what is wrong.
    """
    allowed = asked.get("allowed_openai_params")
    names = frozenset(str(each) for each in allowed) if isinstance(allowed, list) else frozenset()
    call = ChatCall(drop, names)
    for name, value in asked.items():
        if name in call.allowed or _goes_on(call, name, value):
            call.body[name] = value
    json = {name: value for name, value in asked.items() if name in _TRANSLATED and name not in call.allowed}
    call.body["input"] = items_of(call, json.get("messages"))
    tools_of(call, json)
    _limit(call, json)
    _form(call, json)
    _effort(call, json)
    _logprobs(call, json)
    _stream(call, json, stream=asked.get("stream") is True)
    # nothing is kept unless it is asked for: so clients of chat completions have it, which know no ids to go on by
    call.body["store"] = json.get("store") is True
    return call


def _goes_on(call: ChatCall, name: str, value: Json) -> bool:
    """Whether a parameter goes on as it is. Raises `BadRequestError` for what can't be had."""
    if name in _TRANSLATED or (name in _NOTHING and value in _NOTHING[name]):
        return False
    if name in _NEVER:
        raise wrong(name, f"not supported: {_NEVER[name]}", "unsupported_parameter")
    if name in _NO_WORD:
        call.refuse(name, _NO_WORD[name])
        return False
    return True


def _limit(call: ChatCall, asked: JsonObject) -> None:
    for name in ("max_completion_tokens", "max_tokens"):  # the newer one wins
        if asked.get(name) is not None:
            call.body["max_output_tokens"] = asked[name]
            call.names["max_output_tokens"] = name
            return


def _form(call: ChatCall, asked: JsonObject) -> None:
    form, verbosity = asked.get("response_format"), asked.get("verbosity")
    given = call.body.get("text")
    text = {**object_at(given, "text")} if given is not None else {}
    call.names |= {"text": "response_format", "text.verbosity": "verbosity"} if given is None else {}
    if form is not None:
        form = object_at(form, "response_format")
        if form.get("type") == "json_schema":
            form = {"type": "json_schema", **object_at(form.get("json_schema"), "response_format.json_schema")}
        text["format"] = form
    if verbosity is not None:
        text["verbosity"] = verbosity
    if text:
        call.body["text"] = text


def _effort(call: ChatCall, asked: JsonObject) -> None:
    effort, given = asked.get("reasoning_effort"), call.body.get("reasoning")
    if effort is not None:
        call.body["reasoning"] = {**({} if given is None else object_at(given, "reasoning")), "effort": effort}
        call.names["reasoning.effort"] = "reasoning_effort"
        if given is None:
            call.names["reasoning"] = "reasoning_effort"


def _logprobs(call: ChatCall, asked: JsonObject) -> None:
    wanted, most = asked.get("logprobs"), asked.get("top_logprobs")
    if wanted not in (None, True, False):
        raise wrong("logprobs", "must be true or false", "invalid_type")
    if most is not None and not (wanted or most == 0):
        raise wrong("top_logprobs", "needs logprobs to be true")
    if not wanted:
        return
    call.logprobs = True
    given = call.body.get("include")
    call.body["include"] = [*(given if isinstance(given, list) else []), _LOGPROBS]
    call.names["include"] = "logprobs"
    if most is not None:
        call.body["top_logprobs"] = most


def _stream(call: ChatCall, asked: JsonObject, *, stream: bool) -> None:
    given = asked.get("stream_options")
    if given is None:
        return
    if not stream:
        raise wrong("stream_options", "is for streams only: set stream to true")
    options = object_at(given, "stream_options")
    call.usage = options.get("include_usage") is True
    rest = {name: value for name, value in options.items() if name != "include_usage"}
    if rest:
        call.body["stream_options"] = rest
