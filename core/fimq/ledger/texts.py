"""Texts from outside, as every database takes them.

PostgreSQL's text has no NUL and none has half a character. Inside JSON both may be written,
as escapes, but then nothing of that document can be asked for by its name.
"""

from __future__ import annotations

from typing import Any


def storable(text: str) -> str:
    """The text with a sign for each character that cannot be kept."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def storable_document(document: dict[str, Any]) -> dict[str, Any]:
    """A JSON document with every text in it, names too, as `storable` has it."""
    return {storable(name): _storable_value(value) for name, value in document.items()}


def _storable_value(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return storable_document(value)
    if isinstance(value, list | tuple):
        return [_storable_value(one) for one in value]
    return value
