"""Answers of routes that bill the prompt alone: their usage, and whether anything came beside it."""

from __future__ import annotations

from typing import Any

import msgspec

from metering.embeddings_usage import usage_of_prompt
from metering.errors import UsageError
from proxy.providers.base import Report

# Stands for vectors or verdicts, which are no text: where any were relayed, a report of no tokens at all is not true.
RELAYED = "relayed"

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_models = msgspec.json.Decoder(str)
_usages = msgspec.json.Decoder(dict[str, Any] | None)
_EMPTY = frozenset((b"", b"null", b"[]", b"{}"))


def read_prompt_answer(body: bytes, results: str) -> Report:
    """Read a whole answer whose results stand under a name; what is no such answer counts as relayed, not reported."""
    try:
        fields = _objects.decode(body)
    except msgspec.DecodeError:
        return Report(text=RELAYED)
    report = Report(
        response_model=_model_of(fields),
        error_inside=_is_given(fields, "error"),
        text=RELAYED if _is_given(fields, results) else "",
    )
    try:
        report.usage = usage_of_prompt(_usages.decode(fields["usage"]) if "usage" in fields else None)
    except (UsageError, msgspec.DecodeError) as error:
        report.impossible = str(error)
    return report


def _model_of(fields: dict[str, msgspec.Raw]) -> str:
    try:
        return _models.decode(fields["model"])
    except (KeyError, msgspec.DecodeError):
        return ""


def _is_given(fields: dict[str, msgspec.Raw], name: str) -> bool:
    return bytes(fields.get(name, b"")) not in _EMPTY
