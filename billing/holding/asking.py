"""What may be asked for as a hold and what is answered, as values; who judges it is named in the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from enforcement.decisions import Granted
from enforcement.keyring import ParsedKey
from enforcement.keys import Scope
from metering.events import EventBody

# What a ledger row says of its dialect where the call went past the proxy.
API_DIALECT = "api"


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a hold is: a key that is known here, or a customer with no key of its own in the call."""

    scope: Scope
    key: ParsedKey | None
    customer_id: str | None
    external_id: str | None  # the customer's, which a server key must name
    asked_by: str  # the API key's id: it stands on the row where no key was named


@dataclass(frozen=True, slots=True)
class StatedBound:
    """The most that a call uses, by its caller's own word."""

    input_tokens_max: int
    output_tokens_max: int


@dataclass(frozen=True, slots=True)
class SentBody:
    """A request as it will be sent to the provider, to be bounded as the proxy bounds it."""

    route: str  # of the proxy, such as /v1/chat/completions
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAsked:
    """One hold to be granted or refused."""

    caller: Caller
    request_id: str
    model: str  # as a call would name it: plainly, or account/model
    dialect: str
    bound: StatedBound | SentBody
    lease_ms: int
    run_id: str = ""
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HoldGranted:
    """The claim stands, and counts as sent until its deadline."""

    granted: Granted
    event: EventBody
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class HoldRefused:
    """Why there is no hold, with the code and the numbers of the proxy's refusals."""

    status: int
    code: str
    message: str
    numbers: Mapping[str, Any]
    retry_after_ms: int | None = None


Admit = Callable[[HoldAsked], HoldGranted | HoldRefused]


@cache
def admitter() -> Admit:
    """The function that judges holds, as ``FAREBOX_ADMITTER`` in the settings names it."""
    return cast("Admit", import_string(django_settings.FAREBOX_ADMITTER))
