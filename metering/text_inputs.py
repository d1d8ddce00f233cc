"""Text or token ids, one or many, as OpenAI's embeddings and older completions take them, and how they are counted."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import msgspec

from metering.errors import RequestShapeError, Uncountable
from metering.providers import find_provider
from metering.tokens import Encoding, byte_bound, count_exact

# A text, or how many token ids stand for one.
Piece = str | int

# What a server may put around each text: marks of beginning and end, a prompt that says what the text is for. Voyage's
# longest is ten words. Source: its "Text embeddings" page and model cards, read to 2026-11.
FRAMING_TOKENS = 32

_inputs = msgspec.json.Decoder(str | list[str | int | list[int] | dict[str, Any]])


def read_pieces(raw: msgspec.Raw, field: str) -> list[Piece]:
    """Read a string, a list of them, a list of token ids or a list of such lists.

    Raises: RequestShapeError; Uncountable for a part that is neither text nor token ids.
    """
    try:
        given = _inputs.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestShapeError(f"{field} must be text or token ids: {error}", field) from error
    if isinstance(given, str):
        return [given]
    if not given:
        raise RequestShapeError(f"{field} is an empty list", field)
    ids = [one for one in given if isinstance(one, int)]
    if ids:
        if len(ids) != len(given):
            raise RequestShapeError(f"{field} mixes token ids with texts or lists", field)
        return [len(ids)]
    return [_piece(one, f"{field}[{place}]") for place, one in enumerate(given)]


def _piece(given: object, part: str) -> Piece:
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return len(given)
    raise Uncountable(part, "only texts and token ids are counted, not pictures or other parts")


def serves_openais_own(provider: str) -> bool:
    """Tell whether a name of OpenAI's means OpenAI's model at a provider, its tokenizer and its interface."""
    known = find_provider(provider)
    return known is not None and known.tokenizers == "openai"


def count_pieces(pieces: Sequence[Piece], encoding: Encoding) -> int | None:
    """Count exactly, or return None where a tokenizer refuses one. An empty text is billed as one token."""
    tokens = 0
    for piece in pieces:
        found = count_exact(piece, encoding) if isinstance(piece, str) else piece
        if found is None:
            return None
        tokens += max(1, found)
    return tokens


def count_piece_words(pieces: Sequence[Piece]) -> int:
    """Count by the simulator's published rule: the words of texts, and token ids one by one."""
    return sum(len(piece.split()) if isinstance(piece, str) else piece for piece in pieces)


def framing_tokens(pieces: Sequence[Piece]) -> int:
    """Bound what comes to the bytes of a request's texts: framing, and what normalising makes longer.

    Many tokenizers first write a text in its compatibility form (NFKC), in which one sign may become a sentence.
    """
    grown = 0
    for piece in pieces:
        if isinstance(piece, str) and not piece.isascii():
            grown += max(0, byte_bound(unicodedata.normalize("NFKC", piece)) - byte_bound(piece))
    return grown + FRAMING_TOKENS * len(pieces)
