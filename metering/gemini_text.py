"""Tokens of text in a Gemini prompt, from above: its tokenizer is not packaged for use offline."""

from __future__ import annotations

from metering.gemini_models import BYTES_PER_TOKEN, O200K_PERCENT
from metering.tokens import byte_bound, count

_DIGITS = "0123456789"


def text_tokens(text: str) -> int:
    """Bound a text's tokens by OpenAI's, by its digits and by its bytes.

    Digits stand alone. Source: the Gemma 3 technical report, "Tokenizer" (split digits), read 2026-11-21.
    """
    digits = sum(map(text.count, _DIGITS))
    by_tokens = -(-(count(text, "o200k_base") + digits) * O200K_PERCENT // 100)
    text_bytes = byte_bound(text)
    # What OpenAI's tokenizer merges well in another script, Google's may not.
    wide_bytes = 0 if text_bytes == len(text) else text_bytes - sum(map(str.isascii, text))
    return max(by_tokens, -(-(text_bytes + wide_bytes) // BYTES_PER_TOKEN))
