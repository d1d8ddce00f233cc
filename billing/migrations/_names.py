"""Names the ledger's SQL is written with: the roles as set, and the token buckets."""

from __future__ import annotations

from django.conf import settings


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


APP = quoted(settings.FAREBOX_DB_APP_ROLE)
RECORDER = quoted(settings.FAREBOX_DB_RECORDER_ROLE)

BUCKETS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
)
BUCKET_COLUMNS = "\n".join(f"    {name} bigint NOT NULL DEFAULT 0," for name in BUCKETS)
