"""Reading a request: its body up to a bound, its key, and the few headers that are ours."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from metering.ids import EXTERNAL_ID_CHARS_MAX, is_external_id
from proxy.asgi import Receive, Scope
from proxy.errors import Refusal

TAGS_MAX = 16
TAG_CHARS_MAX = 128
IDEMPOTENCY_CHARS_MAX = 255
_KEY_IN_QUERY = "/gemini/"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller said besides the body."""

    key_text: str
    customer: str | None  # Farebox-Customer
    run_id: str
    tags: Mapping[str, str]
    idempotency_key: str


async def read_body(receive: Receive, *, body_bytes_max: int) -> bytes | None:
    """Read a whole body; None when the caller hung up before its end.

    Raises: Refusal ``body_too_large``, without reading on.
    """
    message = await receive()
    if not message.get("more_body") and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        _check_size(len(body), body_bytes_max)
        return body
    parts: list[bytes] = []
    read_bytes = 0
    while message["type"] == "http.request":
        part = message.get("body", b"")
        read_bytes += len(part)
        _check_size(read_bytes, body_bytes_max)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    return None


def _check_size(body_bytes: int, body_bytes_max: int) -> None:
    if body_bytes > body_bytes_max:
        raise Refusal(
            "body_too_large",
            f"the body is larger than the {body_bytes_max} bytes this gateway takes",
            numbers={"body_bytes_max": body_bytes_max},
        )


def read_asked(scope: Scope) -> Asked:
    """Read the headers that are ours.

    Raises: Refusal ``invalid_key`` when no key was sent, ``invalid_request`` for a header that cannot be read.
    """
    found = {name: value for name, value in scope["headers"] if name in _READ}
    return Asked(
        key_text=_key_text(found) or _key_in_query(scope),
        customer=_customer(found),
        run_id=_bounded(found, b"farebox-run", TAG_CHARS_MAX),
        tags=_tags(found[b"farebox-tags"]) if b"farebox-tags" in found else {},
        idempotency_key=_bounded(found, b"idempotency-key", IDEMPOTENCY_CHARS_MAX),
    )


_READ = frozenset(
    (
        *(b"authorization", b"x-api-key", b"x-goog-api-key"),
        *(b"farebox-customer", b"farebox-run", b"farebox-tags", b"idempotency-key"),
    )
)


def _key_text(found: Mapping[bytes, bytes]) -> str:
    authorization = found.get(b"authorization", b"")
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() == b"bearer" and token:
        return token.strip().decode("latin-1")
    for name in (b"x-api-key", b"x-goog-api-key"):
        if name in found:
            return found[name].strip().decode("latin-1")
    return ""


def _key_in_query(scope: Scope) -> str:
    """Gemini's callers may put the key into the query, as Google's first examples do; it goes no further."""
    if scope["path"].startswith(_KEY_IN_QUERY):
        asked: dict[str, str] = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if asked.get("key"):
            return asked["key"]
    raise Refusal("invalid_key", "no key was sent: put it into the header `Authorization: Bearer fbx_…`")


def _customer(found: Mapping[bytes, bytes]) -> str | None:
    text = _bounded(found, b"farebox-customer", EXTERNAL_ID_CHARS_MAX)
    if text and not is_external_id(text):
        raise Refusal("invalid_request", "the header farebox-customer has characters that cannot be printed")
    return text or None


def _bounded(found: Mapping[bytes, bytes], name: bytes, chars_max: int) -> str:
    raw = found.get(name)
    if raw is None:
        return ""
    text = _decode(raw, name).strip()
    if len(text) > chars_max:
        raise Refusal("invalid_request", f"the header {name.decode()} is longer than {chars_max} characters")
    return text


def _decode(raw: bytes, name: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refusal("invalid_request", f"the header {name.decode()} is not UTF-8") from None


def _tags(raw: bytes) -> Mapping[str, str]:
    tags: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in _decode(raw, b"farebox-tags").split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or len(name) > TAG_CHARS_MAX or len(value) > TAG_CHARS_MAX:
            raise Refusal(
                "invalid_request",
                f"the header farebox-tags must read name=value,name=value with at most {TAG_CHARS_MAX} characters each",
            )
        tags[name] = value
    if len(tags) > TAGS_MAX:
        raise Refusal("invalid_request", f"the header farebox-tags names more than {TAGS_MAX} tags")
    return tags


def idempotency_digests(asked: Asked, *, key_id: str, route: str, body: bytes) -> tuple[str, str]:
    """Name an Idempotency-Key under its key and route, and the body it came with."""
    named = "\x1f".join((key_id, route, asked.customer or "", asked.idempotency_key))
    return hashlib.sha256(named.encode()).hexdigest()[:40], hashlib.sha256(body).hexdigest()[:40]
