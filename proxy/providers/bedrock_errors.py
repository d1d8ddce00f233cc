"""Errors in the shape of Amazon Bedrock, whose clients must be told in their own words that they are not served."""

from __future__ import annotations

import msgspec

from proxy.asgi import Headers
from proxy.errors import Refusal

_encode = msgspec.json.Encoder().encode


class BedrockErrors:
    """``{"message"}``; the type stands in a header. Source: AWS's "REST JSON protocol", errors, read to 2026-11."""

    def body(self, refusal: Refusal, *, request_id: str, docs_url: str) -> bytes:
        """Write a refusal as a document."""
        document = {"message": refusal.message, "code": refusal.code, **refusal.numbers, "docs": docs_url}
        return _encode(document)

    def event(self, body: bytes) -> bytes:
        """Write an error's document as it is: no stream of this dialect is served."""
        return body

    def id_headers(self, request_id: str) -> Headers:
        """Where the dialect's clients look for the error's type and the request's id."""
        return [
            (b"x-amzn-errortype", b"ResourceNotFoundException"),
            (b"x-amzn-requestid", request_id.encode()),
        ]
