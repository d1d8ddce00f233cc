"""Serve the lists of models, in OpenAI's shape and in Anthropic's."""

from __future__ import annotations

import json
from typing import Final

from simulators.provider.bill import Bill, Record
from simulators.provider.chat import id_header, send_refusal
from simulators.provider.refusals import JSON_TYPE, refuse
from simulators.provider.script import read_model
from simulators.provider.wire import Exchange

MODELS_PATH: Final = "/v1/models"
# Any name that the script's grammar allows is a model; these are listed as examples.
MODELS: Final = [
    "sim-exact", "sim-mini", "sim-echo", "sim-words-100", "sim-slow-500", "sim-drip-20", "sim-cut-5",
    "sim-stall-5", "sim-nousage", "sim-zerousage", "sim-over-50", "sim-error-400", "sim-error-401",
    "sim-error-403", "sim-error-404", "sim-error-429", "sim-error-500", "sim-error-502", "sim-error-503",
    "sim-error-529", "sim-hang", "sim-reset", "sim-tools", "sim-json", "sim-usage-every", "sim-usage-choice",
    "sim-usage-not-last", "sim-midstream-error", "sim-reasoning-50", "sim-cached-10", "sim-crlf",
    "sim-comments", "sim-gzip", "sim-cachewrite-10", "sim-cachewrite1h-10", "sim-usage-total-only",
    "sim-usage-total-more", "sim-usage-total-less",
]  # fmt: skip
_CREATED_S: Final = 1_767_225_600
_CREATED_AT: Final = "2026-01-01T00:00:00Z"


def serve_models(exchange: Exchange, record: Record, *, bill: Bill) -> None:
    """List the examples, or describe any model there is; nothing of it is billed."""
    name = record.path.removeprefix(MODELS_PATH).removeprefix("/")
    as_anthropic = b"anthropic-version" in exchange.headers
    shape = _anthropic_model if as_anthropic else _model
    if not name:
        data = [shape(model) for model in MODELS]
        ends = {"has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        found: object = {"data": data, **(ends if as_anthropic else {"object": "list"})}
    elif read_model(name) is not None:
        found = shape(name)
    else:
        message = f"The model `{name}` does not exist or you do not have access to it."
        refusal = refuse(404, message, code="model_not_found", param="model")
        send_refusal(exchange, record, bill=bill, refusal=refusal)
        return
    record.status = 200
    bill.close(record, "complete")
    exchange.reply(200, JSON_TYPE + id_header(record), body=json.dumps(found).encode())


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED_S, "owned_by": "simulator"}


def _anthropic_model(name: str) -> dict[str, object]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_AT}
