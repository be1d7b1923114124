"""Where an answer comes from: Google's grounding and citations, as annotations and searches.

Google counts in bytes of UTF-8, OpenAI in characters. Source: ai.google.dev/api/generate-content#GroundingMetadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from providers.types import Json, JsonObject

_CHUNKS: Final = ("web", "retrievedContext", "maps", "image")


def searches(metadata: Mapping[str, Json], *, each: bool) -> Iterator[JsonObject]:
    """A `web_search_call` for whatever Google charges for as one search: `each` query, or all of them together.

    It ignores those that are empty, or are there twice.
    """
    told = [query for query in _list(metadata.get("webSearchQueries")) if isinstance(query, str) and query]
    queries = list(dict.fromkeys(told))
    for together in ([query] for query in queries) if each else [queries] if queries else []:
        action: JsonObject = {"type": "search", "query": together[0], "queries": [*together]}
        yield {"type": "web_search_call", "status": "completed", "action": action}


def citations(candidate: Mapping[str, Json], text: str) -> Iterator[JsonObject]:
    """A `url_citation` for each source of each passage of `text`."""
    metadata = candidate.get("groundingMetadata")
    if isinstance(metadata, dict):
        chunks = [_source(chunk) for chunk in _list(metadata.get("groundingChunks"))]
        for support in _list(metadata.get("groundingSupports")):
            if not isinstance(support, dict):
                continue
            start, end = _segment(support.get("segment"), text)
            for index in _list(support.get("groundingChunkIndices")):
                source = chunks[index] if type(index) is int and 0 <= index < len(chunks) else None
                if source is not None:
                    yield _citation(source, start, end)
    recited = candidate.get("citationMetadata")
    if isinstance(recited, dict):
        for each in _list(recited.get("citations")) + _list(recited.get("citationSources")):
            if isinstance(each, dict) and isinstance(each.get("uri"), str):
                start, end = _segment(each, text)
                yield _citation({"url": each["uri"], "title": each.get("title") or each["uri"]}, start, end)


def _citation(source: JsonObject, start: int, end: int) -> JsonObject:
    return {"type": "url_citation", "start_index": start, "end_index": end, **source}


def _source(chunk: Json) -> JsonObject | None:
    """Address and title of a source, of whatever kind."""
    if not isinstance(chunk, dict):
        return None
    for kind in _CHUNKS:
        found = chunk.get(kind)
        if isinstance(found, dict):
            url = found.get("uri") or found.get("sourceUri")
            if isinstance(url, str):
                return {"url": url, "title": found.get("title") or url}
    return None


def _segment(segment: Json, text: str) -> tuple[int, int]:
    """Where a passage begins and ends, in characters of `text`."""
    if not isinstance(segment, dict):
        return 0, len(text)
    quoted = segment.get("text")
    start, end = _characters(segment.get("startIndex"), text, 0), _characters(segment.get("endIndex"), text, len(text))
    if isinstance(quoted, str) and text[start:end] != quoted:
        # the offsets are those of some other part of the answer
        place = text.find(quoted)
        if place >= 0:
            return place, place + len(quoted)
    return start, max(start, end)


def _characters(offset: Json, text: str, default: int) -> int:
    """How many characters of `text` its first bytes are."""
    if type(offset) is not int or offset < 0:
        return default
    if text.isascii():
        return min(offset, len(text))
    return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
