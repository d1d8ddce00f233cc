"""Routes that clients know and Farebox does not serve: for each what it is, why not, and what to do instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

_INSTEAD = "call the provider itself with a key of its own"

# Looked through in order, the first that matches a path's beginning says why.
UNSERVED: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern), f"{what}; {instead}")
    for pattern, what, instead in (
        (
            r"(/anthropic)?/v1/messages/batches",
            "a batch of messages is billed up to a day after it was taken, when no budget can refuse it any more",
            "send each message to POST /v1/messages",
        ),
        (
            r"/v1/batches",
            "a batch is billed up to a day after it was taken, when no budget can refuse it any more",
            "send each request of the batch by itself",
        ),
        (
            r"/gemini/(.*/)?batches|/gemini/.*:(batchGenerateContent|asyncBatchEmbedContent)",
            "a batch is billed up to a day after it was taken, when no budget can refuse it any more",
            "send each request of the batch by itself",
        ),
        (
            r"/v1/images",
            "pictures are billed by size and quality, and no price here counts them before they are made",
            _INSTEAD,
        ),
        (
            r"/v1/videos",
            "films are billed by the second long after they were asked for",
            _INSTEAD,
        ),
        (
            r"/v1/audio",
            "sound that is sent or spoken is billed by the minute, which nobody knows before it was heard",
            f"send short audio to POST /v1/chat/completions on a model that takes it, or {_INSTEAD}",
        ),
        (
            r"(/anthropic)?/v1/files|/v1/uploads|/gemini/(upload/|.*/files)",
            "a file that is kept at the provider is billed whenever a later call names it, whatever its size",
            "put the content into the request",
        ),
        (
            r"/v1/realtime",
            "a connection that stays open spends without a request that could be refused",
            f"use POST /v1/chat/completions, streamed if need be, or {_INSTEAD}",
        ),
        (
            r"/v1/(assistants|threads|vector_stores|conversations|containers|evals)",
            "its prompts are kept at the provider, so the most that a call can cost is not in the request",
            "send the whole conversation to POST /v1/chat/completions",
        ),
        (
            r"/v1/responses/",
            "an answer that is stored at the provider belongs to whoever holds the account, and nothing there says "
            "which of its customers may see it, stop it or take it away",
            "keep the answer that POST /v1/responses gave, and ask for a stream where it takes long",
        ),
        (
            r"/v1/fine_tuning",
            "training is billed by the hour or the token long after it was asked for",
            f"for the training, {_INSTEAD}: the model that it makes is served here by name",
        ),
        (
            r"(/anthropic)?/v1/complete$",
            "Anthropic has retired its text completions",
            "use POST /v1/messages",
        ),
        (
            r"/gemini/.*/cachedContents",
            "what is cached at the provider is billed by the hour, without a request that could be refused",
            "put the content into the request; the provider's own implicit caching works as ever",
        ),
        (
            r"/bedrock/|/model/",
            "Bedrock signs its requests with AWS credentials and streams in a format of its own, neither of which "
            "is read here",
            "use POST /anthropic/v1/messages or POST /v1/chat/completions with an account of the model's maker",
        ),
        (
            r"/openai/deployments/",
            "the address is that of Azure's client",
            "use OpenAI's client with the base URL ending in /v1, and the deployment's name as the model",
        ),
    )
)


def why_unserved(path: str) -> str:
    """Say why a path is not served and what to do instead; empty for a path nobody knows."""
    return next((why for pattern, why in UNSERVED if pattern.match(path)), "")
