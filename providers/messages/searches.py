"""What Claude looked up, and what it cites, in OpenAI's words.

Sources: platform.claude.com/docs, agents-and-tools/tool-use/web-search-tool, build-with-claude/citations; OpenAI's API
reference, `web_search_call`, annotations of `output_text`.
"""

from __future__ import annotations

from typing import cast

from providers.types import Json, JsonObject


def record(use: JsonObject, result: JsonObject | None) -> JsonObject:
    """The item for one call of a tool that Anthropic ran: a search, a page that was opened, or, of another tool, its
    result as it came. `result` None: the turn ended before there was one."""
    content = None if result is None else result.get("content")
    status = "incomplete" if result is None else "failed" if _failed(content) else "completed"
    name, asked = use.get("name"), use.get("input")
    given = asked if isinstance(asked, dict) else {}
    if name == "web_fetch":
        return {"type": "web_search_call", "status": status, "action": {"type": "open_page", "url": given.get("url")}}
    if name != "web_search":
        return {"type": f"anthropic:{name}_call", "status": status, "input": asked, "result": content}
    query = given.get("query")
    action: JsonObject = {"type": "search", "query": query, "queries": [] if query is None else [query]}
    action["sources"] = [{"type": "url", "url": each.get("url")} for each in _results(content)]
    return {"type": "web_search_call", "status": status, "action": action}


def _results(content: Json) -> list[JsonObject]:
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []


def _failed(content: Json) -> bool:
    return isinstance(content, dict) and str(content.get("type")).endswith("_error")


def annotation(citation: JsonObject, start: int, end: int) -> JsonObject:
    """A citation of the text from `start` to `end`; what OpenAI has no field for is kept under its own name."""
    rest = {name: value for name, value in citation.items() if name not in ("type", "title", "url", "file_id")}
    if isinstance(citation.get("url"), str):
        title = cast("str | None", citation.get("title")) or ""
        where: JsonObject = {"start_index": start, "end_index": end}
        return {"type": "url_citation", "url": citation["url"], "title": title, **where, **rest}
    name = citation.get("document_title") or citation.get("title") or citation.get("source") or ""
    file_id = citation.get("file_id") or ""
    return {"type": "file_citation", "file_id": file_id, "filename": name, "index": end, **rest}
