"""What a simulated deployment answers: text that shows what it remembers, tool calls, reasoning."""

from __future__ import annotations

import re
from itertools import chain, cycle, islice, pairwise

from providers import jsonio
from providers.simulated.mint import Mint
from providers.simulated.prompt import Prompt, text_of
from providers.simulated.sample import sample
from providers.simulated.state import Output, State
from providers.types import Json, JsonObject

_FILLER = ("And", "so", "it", "goes", "on", "and", "on.")
_WORD = re.compile(r"\S+\s*")


def compose(
    body: JsonObject, prompt: Prompt, name: str, tokens: int, stem: str, mint: Mint, state: State
) -> list[Output]:
    """The items that answer `prompt`: perhaps reasoning, then a tool call or a message of `tokens` deltas."""
    outputs = []
    if _reasons(body):
        outputs.append(_reasoning(body, prompt, mint.id("rs", stem), state))
    function = _wanted_function(body, prompt)
    if function is not None:
        arguments = _arguments(function, text_of(prompt.last))
        outputs.append(_function_call(function, arguments, tokens, mint.id("fc", stem), mint.call_id()))
    else:
        outputs.append(_message(_pieces(body, prompt, name, tokens), mint.id("msg", stem)))
    return outputs


def shorten(output: Output, tokens: int) -> Output:
    """`output`, a message or a function call, cut as it is when the model runs out of output tokens."""
    deltas = output.deltas[:tokens]
    final = {**output.final, "status": "incomplete"}
    if final["type"] == "message":
        final["content"] = [_text_part("".join(deltas))]
    else:
        final["arguments"] = "".join(deltas)
    return Output(output.opening, final, deltas)


def _reasons(body: JsonObject) -> bool:
    reasoning = body.get("reasoning")
    return isinstance(reasoning, dict) and bool(reasoning) and reasoning.get("effort") != "none"


def _reasoning(body: JsonObject, prompt: Prompt, item_id: str, state: State) -> Output:
    opening: JsonObject = {"id": item_id, "type": "reasoning", "summary": []}
    final = dict(opening)
    reasoning, include = body.get("reasoning"), body.get("include")
    deltas: tuple[str, ...] = ()
    if isinstance(reasoning, dict) and reasoning.get("summary"):
        deltas = ("**Remembering** ", f"turn {prompt.number}")
        final["summary"] = [{"type": "summary_text", "text": "".join(deltas)}]
    if isinstance(include, list) and "reasoning.encrypted_content" in include:
        payload = item_id.encode()
        opening["encrypted_content"] = state.seal(payload)
        final["encrypted_content"] = state.seal(payload)
    return Output(opening, final, deltas)


def _message(deltas: tuple[str, ...], item_id: str) -> Output:
    opening: JsonObject = {
        "id": item_id,
        "type": "message",
        "status": "in_progress",
        "content": [],
        "role": "assistant",
    }
    final: JsonObject = {**opening, "status": "completed", "content": [_text_part("".join(deltas))]}
    return Output(opening, final, deltas)


def _text_part(text: str) -> JsonObject:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _pieces(body: JsonObject, prompt: Prompt, name: str, tokens: int) -> tuple[str, ...]:
    text_format = _format(body)
    if text_format.get("type") == "json_schema":
        return _split(jsonio.dumps(sample(text_format.get("schema"))).decode(), tokens)
    if text_format.get("type") == "json_object":
        known = {"turn": prompt.number, "upstream": name, "opening": prompt.opening}
        return _split(jsonio.dumps(known).decode(), tokens)
    text = f"Turn {prompt.number} at {name}. You began: {prompt.opening!r}."
    if str(prompt.last.get("type")).endswith("_output"):
        text += f" The tool said: {text_of(prompt.last)[:80]!r}."
    words = _WORD.findall(text)
    if len(words) >= tokens:
        return _even(words, tokens)
    words[-1] += " "
    padded = [f"{word} " for word in islice(cycle(_FILLER), tokens - len(words))]
    padded[-1] = padded[-1].rstrip()
    return tuple(chain(words, padded))


def _format(body: JsonObject) -> JsonObject:
    text = body.get("text")
    text_format = text.get("format") if isinstance(text, dict) else None
    return text_format if isinstance(text_format, dict) else {}


def _split(text: str, pieces: int) -> tuple[str, ...]:
    return _even(list(text), min(pieces, len(text)))


def _even(parts: list[str], pieces: int) -> tuple[str, ...]:
    """`parts` joined into exactly `pieces` runs of almost equal length."""
    edges = [round(i * len(parts) / pieces) for i in range(pieces + 1)]
    return tuple("".join(parts[low:high]) for low, high in pairwise(edges))


def _arguments(function: JsonObject, said: str) -> str:
    """The arguments given as `call NAME with {…}`; else some that satisfy the function's schema."""
    _, given, after = said.partition(f"call {function.get('name')} with ")
    if given:
        end = after.rfind("}") + 1
        try:
            return jsonio.dumps(jsonio.loads(after[:end])).decode()
        except ValueError:  # words, not arguments
            pass
    return jsonio.dumps(sample(function.get("parameters")) or {}).decode()


def _function_call(function: JsonObject, arguments: str, tokens: int, item_id: str, call_id: str) -> Output:
    opening: JsonObject = {
        "id": item_id,
        "type": "function_call",
        "status": "in_progress",
        "arguments": "",
        "call_id": call_id,
        "name": function.get("name"),
    }
    return Output(opening, {**opening, "status": "completed", "arguments": arguments}, _split(arguments, tokens))


def _wanted_function(body: JsonObject, prompt: Prompt) -> JsonObject | None:
    """The function to call: one that `tool_choice` demands, or one the user's last words ask for.

    Those words are `call NAME`, or `call NAME with {…}`.
    """
    tools = body.get("tools")
    functions = {
        tool.get("name"): tool
        for tool in (tools if isinstance(tools, list) else [])
        if isinstance(tool, dict) and tool.get("type") == "function"
    }
    choice = body.get("tool_choice")
    if not functions or choice == "none":
        return None
    if choice == "required":
        return next(iter(functions.values()))
    if isinstance(choice, dict):
        if choice.get("type") == "function":
            return functions.get(choice.get("name"))
        allowed = _allowed(choice)
        functions = {name: tool for name, tool in functions.items() if name in allowed}
        if functions and choice.get("mode") == "required":
            return next(iter(functions.values()))
    if prompt.last.get("role") != "user":
        return None
    text = text_of(prompt.last)
    return next(
        (tool for name, tool in functions.items() if re.search(rf"\bcall {re.escape(str(name))}\b", text)), None
    )


def _allowed(choice: JsonObject) -> list[Json]:
    tools = choice.get("tools")
    return [tool.get("name") for tool in (tools if isinstance(tools, list) else []) if isinstance(tool, dict)]
