"""Decoded requests of Gemini's methods: answers, embeddings, and counts that cost nothing."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import msgspec

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.errors import RequestShapeError
from metering.gemini import (
    GeminiRequest,
    bound_embed,
    bound_gemini,
    decode_gemini,
    estimate_gemini_output,
    gemini_cap_for,
    may_think_unseen,
)
from metering.gemini_models import output_ceiling
from metering.gemini_request import CAP, CONFIG, named
from metering.quote import BoundClass, InputBound, OutputCap, bound_by_count
from proxy.bodies import edited, with_member
from proxy.providers.base import CountingRequest, Prepared, Report, Traits
from proxy.providers.counts import changes_elsewhere, read_total_tokens

MODELS = "models/"
_NO_OUTPUT = OutputCap(tokens=0, choices=1, minimum_tokens=0, source="caller", may_clamp=False)
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class GenerateCall:
    """One request for an answer."""

    is_free = False

    def __init__(self, body: bytes, model: str, *, stream: bool) -> None:
        """Read a request. Raises: RequestShapeError."""
        self._request = decode_gemini(body, model)
        self._body = body
        self.model = model
        self.stream = stream
        self.service_tier = self._request.quoted_tier
        check_named(self._request.read("model"), model, "model")

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound the prompt. Raises: Uncountable."""
        return bound_gemini(self._as(model), provider=provider, allowances=allowances)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Choose the output cap for each answer, thinking included, never over the model's ceiling."""
        return gemini_cap_for(
            self._as(model),
            ceiling=output_ceiling(model, provider),
            default_plain=policy.output_cap_plain,
            default_reasoning=policy.output_cap_reasoning,
            minimum=policy.output_minimum,
        )

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes unless a field must change."""
        request, changes = self._request, renamed(self._request, model)
        if request.max_output_tokens != cap_tokens:
            name = request.spelled.get(CONFIG, CONFIG)
            member = {request.config_spelled.get(CAP, CAP): cap_tokens}
            changes[name] = with_member(self._body, name, member)
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Count the output tokens behind what was relayed, for an estimate."""
        return estimate_gemini_output(report.text, tool_calls=report.tool_calls)

    def hides_output(self, model: str) -> bool:
        """Whether the model thinks unseen, so that relayed text says little about what was generated."""
        return may_think_unseen(self._as(model))

    def counting(self, model: str, traits: Traits) -> CountingRequest | None:
        """What to ask Gemini for the count of this prompt: the whole request; none for a tuned model."""
        name = model.removeprefix(MODELS)
        if "/" in name or changes_elsewhere(self._body):
            return None
        whole = edited(self._body, {"model": f"{MODELS}{name}"})
        path = f"/v1beta/{MODELS}{quote(name, safe='')}:countTokens"
        return CountingRequest(path, b'{"generateContentRequest":%b}' % whole)

    def read_count(self, body: bytes) -> int:
        """Read a count, in tokens. Raises: UsageError for what is none."""
        return read_total_tokens(body)

    def bound_counted(
        self, model: str, counted_tokens: int, *, provider: str, allowances: Allowances
    ) -> InputBound:
        """Bound the prompt by Gemini's count. Raises: Uncountable."""
        return bound_by_count(self.bound(model, provider=provider, allowances=allowances), counted_tokens)

    def _as(self, model: str) -> GeminiRequest:
        return self._request if model == self.model else replace(self._request, model=model)


class EmbedCall:
    """One request to embed one content, or several."""

    is_free = False
    stream = False
    service_tier = ""

    def __init__(self, body: bytes, model: str, *, needed: str) -> None:
        """Read a request. Raises: RequestShapeError."""
        self._request = decode_gemini(body, model, needed=needed)
        self._body = body
        self.model = model
        check_named(self._request.read("model"), model, "model")
        requests = self._request.read("requests") or []
        if not isinstance(requests, list):
            raise RequestShapeError("requests must be a list", "requests")
        for place, one in enumerate(requests):
            where = f"requests[{place}]"
            check_named(named(one, where).get("model"), model, f"{where}.model")

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound what is to be embedded. Raises: Uncountable."""
        request = self._request if model == self.model else replace(self._request, model=model)
        return bound_embed(request, provider=provider, allowances=allowances)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Nothing is generated."""
        return _NO_OUTPUT

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes but for the model's name."""
        changes = renamed(self._request, model)
        raw = self._request.fields.get("requests")
        if raw is not None and model != self.model:
            changes["requests"] = [_with_model(bytes(one), model) for one in _raws.decode(raw)]
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Nothing was generated."""
        return 0

    def hides_output(self, model: str) -> bool:
        """Nothing was generated."""
        return False


class CountCall:
    """One request to count a prompt's tokens: nothing is generated, nothing is billed."""

    is_free = True
    stream = False
    service_tier = ""

    def __init__(self, body: bytes, model: str) -> None:
        """Read a request. Raises: RequestShapeError."""
        self._request = decode_gemini(body, model, needed="")
        self._body = body
        self.model = model
        check_named(self._request.read("model"), model, "model")
        inner = named(self._request.read("generateContentRequest"), "generateContentRequest")
        check_named(inner.get("model"), model, "generateContentRequest.model")

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Nothing is billed, whatever the prompt."""
        return InputBound(0, BoundClass.EXACT)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Nothing is generated."""
        return _NO_OUTPUT

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes but for the model's name."""
        changes = renamed(self._request, model)
        spelled = self._request.spelled.get("generateContentRequest")
        if spelled is not None and model != self.model:
            changes[spelled] = _with_model(bytes(self._request.fields["generateContentRequest"]), model)
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Nothing was generated."""
        return 0

    def hides_output(self, model: str) -> bool:
        """Nothing was generated."""
        return False


def check_named(value: object, model: str, param: str) -> None:
    """Raise RequestShapeError where a body names another model than its path: only the path's was priced."""
    if value is not None and (not isinstance(value, str) or value.removeprefix(MODELS) != model):
        raise RequestShapeError(f"{param} must be the model of the path, {MODELS}{model}", param)


def renamed(request: GeminiRequest, model: str) -> dict[str, object]:
    """What of a body's outermost fields changes where an account knows the model by another name."""
    differs = "model" in request.fields and model != request.model
    return {"model": f"{MODELS}{model}"} if differs else {}


def _with_model(body: bytes, model: str) -> msgspec.Raw:
    known = _fields.decode(body)
    return msgspec.Raw(edited(body, {"model": f"{MODELS}{model}"} if "model" in known else {}))
