"""Citations as annotations. Source: botocore 1.44.5, bedrock-runtime/2023-09-30, Citation and CitationsDelta."""

from __future__ import annotations

from typing import Final

from providers.types import JsonObject

_IN_DOCUMENTS: Final = ("documentChar", "documentPage", "documentChunk")


def annotation(citation: JsonObject, start: int, end: int) -> JsonObject:
    """What a citation says of the text that is open, from character `start` to `end`."""
    title, location, source = citation.get("title"), citation.get("location"), citation.get("source")
    where = location if isinstance(location, dict) else {}
    web = where.get("web")
    if isinstance(web, dict) or (isinstance(source, str) and source.startswith(("http://", "https://"))):
        url = web.get("url") if isinstance(web, dict) else None
        place: JsonObject = {"start_index": start, "end_index": end}
        return {"type": "url_citation", "url": url or source or "", "title": title or "", **place}
    document = next((found for name in _IN_DOCUMENTS if isinstance(found := where.get(name), dict)), {})
    number = document.get("documentIndex")
    if not isinstance(number, int):
        return {"type": "file_citation", "file_id": source or "", "filename": title or source or "", "index": 0}
    return {"type": "file_citation", "file_id": f"document_{number}", "filename": title or "", "index": number}
