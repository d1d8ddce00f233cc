"""The usage event: what one upstream attempt, or one correction, tells the ledger.

The stream entry carries ids and amounts as flat fields (written by the Lua scripts) beside this body, so that a body
nobody can read still makes a row. Bodies are made by the proxy and pass through Redis as bytes.
"""

from __future__ import annotations

import msgspec


class EventBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of an event that enforcement does not need to understand. Times in ms since the epoch."""

    request_id: str
    attempt: int
    key_id: str
    customer_id: str | None
    account_id: str
    provider: str
    dialect: str
    model: str
    price_id: str
    bound_class: str  # exact | hard | empirical
    quoted_input_tokens: int
    started_ms: int
    quote_cost_nanousd: int = 0
    quote_charge_nanousd: int = 0
    output_cap: int = 0
    output_cap_source: str = "caller"  # caller | default | clamped
    markup_bp: int = 0
    markup_fixed_nanousd: int = 0
    response_model: str = ""
    stream: bool = False
    ended_ms: int = 0
    upstream_status: int = 0
    upstream_request_id: str = ""
    end: str = ""  # how it ended: complete, client_gone, cut, timeout, refused, not_sent, ...
    run_id: str = ""
    tags: dict[str, str] = {}
    # Disjoint buckets, by their names in metering.usage; extras by name.
    usage: dict[str, int] = {}
    extras: dict[str, int] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(EventBody)


def encode_body(body: EventBody) -> bytes:
    """Encode an event's body for the stream."""
    return _encoder.encode(body)


def decode_body(raw: bytes) -> EventBody:
    """Decode an event's body. Raises: msgspec.DecodeError (or ValidationError) when it is none."""
    return _decoder.decode(raw)
