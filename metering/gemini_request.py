"""A generateContent request, read only as far as its bound and its cap need; all else passes through untouched.

Google takes every name in two spellings, ``maxOutputTokens`` and ``max_output_tokens``. A field that stands twice, in
one spelling or in both, is refused: whoever reads the other one would see a request that was never bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from metering.chat_request import CHOICES_MAX, MODEL_CHARS_MAX, parse_unique, refuse_twice, shape_error
from metering.errors import RequestShapeError
from metering.rates import tier_to_quote

CAP = "maxOutputTokens"
CONFIG = "generationConfig"
_WHOLE_MAX = 2**31
_SNAKE = re.compile(r"_+([a-z0-9])")
_MODALITIES = frozenset({"TEXT", "IMAGE", "AUDIO", "MODALITY_UNSPECIFIED"})
_FORCED = frozenset({"ANY", "any"})
_SCHEMAS = ("responseSchema", "responseJsonSchema", "_responseJsonSchema", "responseFormat")
_TIER = "service_tier_"
# Names that money hangs on. Some servers read names whatever their case (Go's do): these must be written as they are.
_GUARDED = {
    name.lower(): name
    for name in (
        *("contents", "tools", "toolConfig", "systemInstruction", CONFIG, "cachedContent", "serviceTier"),
        *(CAP, "candidateCount", "thinkingConfig", "thinkingBudget", "responseModalities", "mediaResolution"),
    )
}
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class GeminiRequest:
    """What the bound and the cap of a request depend on; names are Google's, in camel case."""

    model: str
    body_bytes: int
    fields: Mapping[str, msgspec.Raw]
    spelled: Mapping[str, str]  # how the body writes each of them
    config: Mapping[str, Any] = field(default_factory=dict)
    config_spelled: Mapping[str, str] = field(default_factory=dict)

    @property
    def max_output_tokens(self) -> int | None:
        """The caller's cap on output, thinking included; None where it names none. Raises: RequestShapeError."""
        return whole(self.config.get(CAP), f"{CONFIG}.{CAP}", least=1)

    @property
    def candidates(self) -> int:
        """How many answers are asked for. Raises: RequestShapeError."""
        name = "candidateCount"
        count = whole(self.config.get(name), f"{CONFIG}.{name}", least=1, most=CHOICES_MAX)
        return count or 1

    @property
    def thinking_budget(self) -> int | None:
        """Tokens to think with: 0 not at all, -1 as many as the model likes; None where none is named."""
        asked = named(self.config.get("thinkingConfig"), f"{CONFIG}.thinkingConfig")
        return whole(asked.get("thinkingBudget"), f"{CONFIG}.thinkingConfig.thinkingBudget", least=-1)

    @property
    def schema(self) -> list[Any]:
        """The formats that the answer must follow."""
        return [self.config[name] for name in _SCHEMAS if self.config.get(name)]

    @property
    def modalities(self) -> frozenset[str]:
        """What the answer is to be made of, in upper case. Raises: RequestShapeError."""
        asked = listed(self.config.get("responseModalities"))
        # By number, as Google takes them too, sound would go for text.
        for one in asked:
            if not isinstance(one, str) or one.upper() not in _MODALITIES:
                param = f"{CONFIG}.responseModalities"
                raise RequestShapeError(f"{param} must be of TEXT, IMAGE and AUDIO", param)
        return frozenset(one.upper() for one in asked)

    @property
    def forces_tool(self) -> bool:
        """Whether the answer must be a function call."""
        config = named(self.read("toolConfig"), "toolConfig")
        calling = named(config.get("functionCallingConfig"), "toolConfig.functionCallingConfig")
        return str(calling.get("mode")) in _FORCED

    @property
    def quoted_tier(self) -> str:
        """The service tier to quote at. Raises: RequestShapeError for one that nobody knows."""
        asked = self.read("serviceTier")
        if asked is not None and not isinstance(asked, str):
            # By number, as Google takes it too, a dearer one would go for standard.
            raise RequestShapeError("serviceTier must be written by its name", "serviceTier")
        return tier_to_quote((asked or "").lower().removeprefix(_TIER), "serviceTier")

    def read(self, name: str) -> Any:
        """Parse a field; None where it is absent. Raises: RequestShapeError."""
        raw = self.fields.get(name)
        return None if raw is None else parse_unique(raw, name)


def decode_gemini(body: bytes, model: str, *, needed: str = "contents") -> GeminiRequest:
    """Read a body whose model stands in its path. Raises: RequestShapeError, naming the field where known."""
    if not model or len(model) > MODEL_CHARS_MAX:
        raise RequestShapeError(
            f"the path must name a model of at most {MODEL_CHARS_MAX} characters", "model"
        )
    try:
        raw_fields = _fields.decode(body)
        refuse_twice(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "Gemini request") from error
    spelled = spellings(raw_fields, "the body")
    # Absent and null are alike.
    fields = {name: raw for name, written in spelled.items() if bytes(raw := raw_fields[written]) != b"null"}
    if needed and needed not in fields:
        raise RequestShapeError(f"{needed} is required", needed)
    config, config_spelled = _read_config(fields.get(CONFIG))
    request = GeminiRequest(model, len(body), fields, spelled, config, config_spelled)
    # Read now, so that malformed ones are refused here.
    assert request.candidates >= 1
    assert request.max_output_tokens is None or request.max_output_tokens >= 1
    assert request.thinking_budget is None or request.thinking_budget >= -1
    return request


def spellings(names: Mapping[str, Any], param: str) -> dict[str, str]:
    """Return how each name, in camel case, is written. Raises: RequestShapeError for one in both spellings."""
    found: dict[str, str] = {}
    for name in names:
        known = camel(name)
        guarded = _GUARDED.get(name.replace("_", "").lower(), known)
        if guarded != known:
            raise RequestShapeError(f"{param} must write {name!r} as {guarded!r}", name)
        if known in found:
            raise RequestShapeError(f"{param} has both {found[known]!r} and {name!r}", name)
        found[known] = name
    return found


def camel(name: str) -> str:
    """Write a name as Google's JSON does."""
    return _SNAKE.sub(lambda found: found[1].upper(), name) if "_" in name[1:] else name


def named(value: Any, param: str) -> dict[str, Any]:
    """Return an object with its names in camel case; none where there is no value. Raises: RequestShapeError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestShapeError(f"{param} must be an object", param)
    return {known: value[written] for known, written in spellings(value, param).items()}


def whole(value: Any, param: str, *, least: int, most: int = _WHOLE_MAX) -> int | None:
    """Read a whole number, which Google also takes as text; None where there is none. Raises: RequestShapeError."""
    if value is None:
        return None
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RequestShapeError(f"{param} must be a whole number from {least} to {most}", param)
    return value


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as the only one of its kind: Google takes both."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _read_config(raw: msgspec.Raw | None) -> tuple[dict[str, Any], dict[str, str]]:
    value = None if raw is None else parse_unique(raw, CONFIG)
    if value is not None and not isinstance(value, dict):
        raise RequestShapeError(f"{CONFIG} must be an object", CONFIG)
    spelled = spellings(value or {}, CONFIG)
    return {name: value[written] for name, written in spelled.items()} if value else {}, spelled
