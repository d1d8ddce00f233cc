"""Usage as embeddings and the older completions report it, with the ways in which providers get it wrong."""

from __future__ import annotations

import json
from typing import NamedTuple

from simulators.provider.calls import Call

# By how much a total that does not add up is wrong.
_OFF_TOKENS = 3


class TextUsage(NamedTuple):
    """Token counts as told to a caller; ``completion`` is None where the route makes none."""

    prompt: int
    completion: int | None
    cached: int = 0
    quirk: str = ""  # total-less, total-more, total-only

    def as_dict(self) -> dict[str, object]:
        """List the usage object's fields."""
        total = self.prompt + (self.completion or 0)
        if self.quirk == "total-only":
            return {"total_tokens": total}
        off = {"total-less": -_OFF_TOKENS, "total-more": _OFF_TOKENS}.get(self.quirk, 0)
        fields: dict[str, object] = {"prompt_tokens": self.prompt, "total_tokens": max(0, total + off)}
        if self.completion is not None:
            fields["completion_tokens"] = self.completion
        if self.cached:
            fields["prompt_tokens_details"] = {"cached_tokens": self.cached}
        return fields

    def encode(self) -> bytes:
        """Write the usage object."""
        return json.dumps(self.as_dict()).encode()


def text_usage(call: Call, completion: int | None) -> TextUsage | None:
    """Say what is reported of a call so far; None when the script reports nothing."""
    told = call.script.usage
    if told == "none":
        return None
    if told == "zero":
        return TextUsage(0, None if completion is None else 0)
    quirk = told if told.startswith("total") else ""
    return TextUsage(call.prompt_tokens, completion, call.cached_tokens, quirk)
