"""Serve embeddings and moderations: whole answers, paced and broken by the same script as chat."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Coroutine

from simulators.provider.bill import Bill, Record
from simulators.provider.chat import ChatAnswer, send_refusal
from simulators.provider.refusals import Refusal
from simulators.provider.text_calls import TextCall, read_embeddings, read_moderation
from simulators.provider.text_usages import TextUsage, text_usage
from simulators.provider.texts import Text
from simulators.provider.wire import Exchange

_CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")


def serve_embeddings(exchange: Exchange, record: Record, *, bill: Bill) -> Coroutine[None, None, None] | None:
    """Answer an embeddings request at once where nothing has to be waited for, else return the work to be done."""
    call = read_embeddings(exchange.body, exchange.headers.get(b"x-sim-script"))
    if isinstance(call, Refusal):
        send_refusal(exchange, record, bill=bill, refusal=call)
        return None
    return EmbeddingsAnswer(exchange, record, bill=bill, call=call).start()


def serve_moderation(exchange: Exchange, record: Record, *, bill: Bill) -> Coroutine[None, None, None] | None:
    """Answer a moderation request; it stands on the bill at nothing."""
    call = read_moderation(exchange.body, exchange.headers.get(b"x-sim-script"))
    if isinstance(call, Refusal):
        send_refusal(exchange, record, bill=bill, refusal=call)
        return None
    return ModerationAnswer(exchange, record, bill=bill, call=call).start()


class EmbeddingsAnswer(ChatAnswer):
    """Vectors on their way. A model that was asked for a stream answers whole all the same."""

    def __init__(self, exchange: Exchange, record: Record, *, bill: Bill, call: TextCall) -> None:
        super().__init__(exchange, record, bill=bill, call=call)
        self._texts = call

    def _usage(self) -> TextUsage | None:
        return text_usage(self._call, None)

    def _completion(self, usage: bytes) -> bytes:
        call = self._texts
        data = [
            {"object": "embedding", "index": index, "embedding": self._vector(text)}
            for index, text in enumerate(call.texts)
        ]
        head = json.dumps({"object": "list", "data": data, "model": call.model}).encode()
        return head[:-1] + usage + b"}"

    def _vector(self, text: Text) -> object:
        call = self._texts
        # A unit vector that depends on the text alone.
        place = (
            text if isinstance(text, int) else sum(text.encode("utf-8", "surrogatepass"))
        ) % call.dimensions
        numbers = [1.0 if index == place else 0.0 for index in range(call.dimensions)]
        if not call.base64:
            return numbers
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


class ModerationAnswer(EmbeddingsAnswer):
    """Verdicts on their way."""

    def _usage(self) -> None:
        return None

    def _completion(self, usage: bytes) -> bytes:
        call = self._texts
        verdict = {
            "flagged": False,
            "categories": dict.fromkeys(_CATEGORIES, False),
            "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
            "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
        }
        identity = self._record.request_id.removeprefix("req_")
        document = {"id": f"modr-{identity}", "model": call.model, "results": [verdict] * len(call.texts)}
        return json.dumps(document).encode()
