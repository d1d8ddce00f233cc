"""Metadata: set key by key, an empty value removes."""

from __future__ import annotations

from simulators.stripe.forms import as_mapping
from simulators.stripe.refusals import invalid
from simulators.stripe.routes import Call

_KEYS_MAX = 50
_KEY_CHARS_MAX = 40
_VALUE_CHARS_MAX = 500


def merge_metadata(call: Call, present: dict[str, str] | None = None) -> dict[str, str]:
    """Apply a request's metadata to an object's."""
    given = call.params.get("metadata")
    if given == "":
        return {}
    merged = dict(present or {})
    for name, value in as_mapping(given, "metadata").items():
        if len(name) > _KEY_CHARS_MAX or len(str(value)) > _VALUE_CHARS_MAX:
            message = "Metadata keys can have up to 40 characters and values up to 500."
            raise invalid(message, param=f"metadata[{name}]").unsaved()
        if value in ("", None):
            merged.pop(name, None)
        else:
            merged[name] = str(value)
    if len(merged) > _KEYS_MAX:
        raise invalid(f"You can have up to {_KEYS_MAX} metadata keys.", param="metadata").unsaved()
    return merged


def change_texts(call: Call, *names: str) -> dict[str, str | None]:
    """Read the texts that a request sets; an empty one clears."""
    return {name: call.params[name] or None for name in names if name in call.params}
