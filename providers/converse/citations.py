"""Citations as annotations. Source: botocore 1.44.5, bedrock-runtime/2023-09-30, Citation and CitationsDelta."""

from __future__ import annotations

from typing import Final

from providers.types import JsonObject

_IN_DOCUMENTS: Final = ("documentChar", "documentPage", "documentChunk")


def annotation(citation: JsonObject, said: int) -> JsonObject:
    """What a citation says of the text that is open, of which `said` characters are told."""
    title, location = citation.get("title"), citation.get("location")
    where = location if isinstance(location, dict) else {}
    web = where.get("web")
    source = citation.get("source")
    if isinstance(web, dict) or (isinstance(source, str) and source.startswith(("http://", "https://"))):
        url = web.get("url") if isinstance(web, dict) else None
        return {
            "type": "url_citation",
            "url": url or source or "",
            "title": title or "",
            "start_index": 0,
            "end_index": said,
        }
    place = next((found for name in _IN_DOCUMENTS if isinstance(found := where.get(name), dict)), {})
    number = place.get("documentIndex")
    file = f"document_{number}" if isinstance(number, int) else source or ""
    return {"type": "file_citation", "file_id": file, "filename": title or source or "", "index": said}
