"""Errors in OpenAI's shape, which its official clients raise as their own typed ones."""

from __future__ import annotations

import msgspec

from proxy.asgi import Headers
from proxy.errors import CODES, Refusal

_encode = msgspec.json.Encoder().encode


class OpenAIErrors:
    """``{"error": {"message", "type", "param", "code"}}``, then our numbers and the page that explains it."""

    def body(self, refusal: Refusal, *, request_id: str, docs_url: str) -> bytes:
        """Write a refusal as a document; the request's id stands in a header."""
        return _encode(
            {
                "error": {
                    "message": refusal.message,
                    "type": CODES[refusal.code].kind,
                    "param": refusal.param,
                    "code": refusal.code,
                    **refusal.numbers,
                    "docs": docs_url,
                }
            }
        )

    def event(self, body: bytes) -> bytes:
        """Write an error's document as the last event of a stream that has begun."""
        return b"data: " + body + b"\n\n"

    def id_headers(self, request_id: str) -> Headers:
        """OpenAI's clients take a provider's own id alone for the request's: ours stands in a header of ours."""
        return []
