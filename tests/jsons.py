"""Any JSON, as hypothesis strategies: what a server may send and what a caller may ask."""

from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec=None), max_size=12)
"""Any text, lone surrogates included."""
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(["id", "type", "output", "error", "code", "status", "usage", "get", "keys", "to_dict"]) | TEXTS
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(NAMES, VALUES, max_size=6)
