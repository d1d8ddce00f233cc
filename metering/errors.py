"""What metering cannot do, as one tree.

MeteringError
├── MoneyError        an amount that is no amount
├── UsageError        a provider's report that cannot be true
├── UnpricedModel     no price is known for a model: it is refused, never free
├── Uncountable       a part of a request has no known bound
├── RequestShapeError a request that is not of its dialect
├── BookUnreadable    a file is no base book of prices
├── ProviderDataError what we say of a provider is no description of one
├── TokenizerError    a tokenizer's packaged vocabulary is missing or is not the one expected
└── WindowError       a window that cannot be worked out (unknown zone, bad anchor)
"""

from __future__ import annotations


class MeteringError(Exception):
    """Root of what metering cannot do; ``code`` is the API code, log field and metric label."""

    code = "metering_error"


class MoneyError(MeteringError):
    """An amount that is no amount."""

    code = "invalid_amount"


class UsageError(MeteringError):
    """A provider's usage report that cannot be true; the message names the numbers."""

    code = "impossible_usage"


class BookUnreadable(MeteringError):
    """A file is no base book of prices."""

    code = "book_unreadable"


class UnpricedModel(MeteringError):
    """No price is known for a model."""

    code = "unpriced_model"

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.model = model
        super().__init__(
            f"no price is known for {provider}/{model}; set one with PUT /api/v1/prices/{provider}/{model}"
        )


class Uncountable(MeteringError):
    """A part of a request has no known bound; ``part`` names it as the dialect does, ``kind`` its allowance."""

    code = "uncountable"

    def __init__(self, part: str, why: str, *, kind: str = "") -> None:
        self.part = part
        self.kind = kind
        super().__init__(f"{part} cannot be bounded before the call: {why}")


class RequestShapeError(MeteringError):
    """A request that is not of its dialect; ``param`` names the field where known."""

    code = "invalid_request"

    def __init__(self, message: str, param: str | None = None) -> None:
        self.param = param
        super().__init__(message)


class ProviderDataError(MeteringError):
    """What the data says of a provider is no description of one."""

    code = "provider_data"


class TokenizerError(MeteringError):
    """A tokenizer's packaged vocabulary is missing or is not the one expected: nothing can be counted exactly."""

    code = "tokenizer_unavailable"


class WindowError(MeteringError):
    """A window that cannot be worked out."""

    code = "invalid_window"
