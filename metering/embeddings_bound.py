"""The most tokens an embeddings request can be billed for; it makes no output."""

from __future__ import annotations

import re

from metering.embeddings_request import UNBOUNDED, EmbeddingsRequest, refuse_unbounded
from metering.model_families import CountRule, family_of
from metering.quote import BoundClass, InputBound
from metering.text_inputs import (
    count_piece_words,
    count_pieces,
    framing_tokens,
    read_pieces,
    serves_openais_own,
)

# Nothing else can be caused by a list of texts.
TEXT_BUCKETS = ("input", "cache_read")

# Counted with cl100k_base and no framing at all: exact on 71 of 71 recorded calls whose text is whole, read to 2026-11.
_PUBLIC = re.compile(r"text-embedding-(3-small|3-large|ada-002)(-v2)?$")


def bound_embeddings(request: EmbeddingsRequest, *, provider: str = "openai") -> InputBound:
    """Bound an embeddings request's tokens: exactly where the tokenizer is public, else by bytes.

    Raises: Uncountable for a part that is no text; RequestShapeError.
    """
    refuse_unbounded(request, UNBOUNDED)
    pieces = read_pieces(request.input, "input")
    if family_of(request.model).rule is CountRule.WORDS:
        return _bound(count_piece_words(pieces), BoundClass.EXACT)
    if serves_openais_own(provider) and _PUBLIC.match(request.model):
        exact = count_pieces(pieces, "cl100k_base")
        if exact is not None:
            return _bound(exact, BoundClass.EXACT)
    return _bound(request.body_bytes + framing_tokens(pieces), BoundClass.HARD)


def _bound(tokens: int, bound_class: BoundClass) -> InputBound:
    return InputBound(tokens, bound_class, text_buckets=TEXT_BUCKETS)
