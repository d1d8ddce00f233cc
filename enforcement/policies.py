"""What the proxy may do for a caller, as published to Redis: one document per key, customer and tenant.

Each has a version from one database sequence; a reserve carries the versions it judged under and Redis compares
them. Documents hold provider credentials only encrypted, and never the secret of a key.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from enforcement.keys import Mode
from metering.windows import WindowSpec

Measure = Literal["cost", "charge"]
OnExhaustion = Literal["refuse", "clamp", "grow"]
MarginGuard = Literal["off", "warn", "refuse"]
BudgetScope = Literal["tenant", "customer", "key", "run", "tag", "model"]


class BudgetRef(msgspec.Struct, frozen=True):
    """A budget to draw on. The limit is not here: it stands in the budget's own record only."""

    budget_id: str
    scope: BudgetScope
    window_kind: Literal["day", "week", "month", "anniversary", "total"]
    zone: str
    measure: Measure
    on_exhaustion: OnExhaustion
    anchor_day: int = 1

    @property
    def window(self) -> WindowSpec:
        """The budget's window as metering knows it."""
        return WindowSpec(self.window_kind, self.zone, self.anchor_day)


class RateLimit(msgspec.Struct, frozen=True):
    """Requests per minute with a burst, and calls in flight; 0 means no such limit."""

    limit_id: str
    requests_per_minute: int = 0
    burst: int = 0
    in_flight_max: int = 0


class ModelMarkup(msgspec.Struct, frozen=True):
    """A markup for models that match a glob."""

    model: str
    markup_bp: int
    markup_fixed_nanousd: int = 0


class Markup(msgspec.Struct, frozen=True):
    """How cost becomes charge: the first matching model's, else the general one."""

    markup_bp: int = 0
    markup_fixed_nanousd: int = 0
    models: tuple[ModelMarkup, ...] = ()
    # A customer may have markups for some models alone: all others follow the tenant's.
    has_general: bool = True


class ProviderAccount(msgspec.Struct, frozen=True):
    """One upstream credential and where it leads."""

    account_id: str
    name: str
    provider: str  # openai, anthropic, groq ... : the price book's name
    dialect: str  # openai | anthropic | gemini
    base_url: str
    credential: str  # encrypted, see enforcement.secrets
    default: bool = False  # the tenant's default account for its dialect
    counts_exactly: bool = False  # ask for the provider's own free count of a prompt before a call is quoted
    # A private address is allowed only where the installation names it.
    allow_private: bool = False


class PublishedPrice(msgspec.Struct, frozen=True):
    """A dated price. Rates by bucket name in nano-dollars per million tokens."""

    price_id: str
    provider: str
    model: str
    from_ms: int
    rates: dict[str, int]
    tiers: dict[str, list[tuple[int, int]]] = {}
    extras_nanousd: dict[str, int] = {}
    per_request_nanousd: int = 0


class PublishedImport(msgspec.Struct, frozen=True):
    """A price imported for the whole installation: below a tenant's own, above the installed base book."""

    price: PublishedPrice
    names: tuple[str, ...] = ()  # globs in lower case
    service_tier: str = ""


class StoppedModel(msgspec.Struct, frozen=True):
    """A model that overran its quotes too often: refused until somebody lifts it."""

    provider: str
    model: str  # as the provider account knows it


class KeyPolicy(msgspec.Struct, frozen=True):
    """A customer key or a server key."""

    key_id: str
    tenant_id: str
    mode: Mode
    kind: Literal["customer", "server"]
    customer_id: str | None = None
    state: Literal["active", "revoked"] = "active"
    expires_ms: int = 0  # 0 = never
    models_allowed: tuple[str, ...] = ()  # globs; empty = all
    rates: tuple[RateLimit, ...] = ()
    budgets: tuple[BudgetRef, ...] = ()


class CustomerPolicy(msgspec.Struct, frozen=True):
    """One of the tenant's own customers."""

    customer_id: str
    state: Literal["active", "suspended"] = "active"
    models_allowed: tuple[str, ...] = ()
    rates: tuple[RateLimit, ...] = ()
    budgets: tuple[BudgetRef, ...] = ()
    markup: Markup | None = None  # None = the tenant's


class TenantPolicy(msgspec.Struct, frozen=True):
    """What holds for every call of a tenant in one mode."""

    tenant_id: str
    mode: Mode
    state: Literal["active", "suspended"] = "active"
    accounts: tuple[ProviderAccount, ...] = ()
    prices: tuple[PublishedPrice, ...] = ()
    imported_prices: tuple[PublishedImport, ...] = ()
    stopped_models: tuple[StoppedModel, ...] = ()
    model_aliases: dict[str, str] = {}  # a name of the tenant's own -> a model, as a caller would name it
    markup: Markup = Markup()
    budgets: tuple[BudgetRef, ...] = ()
    rates: tuple[RateLimit, ...] = ()
    output_cap_plain: int = 4096
    output_cap_reasoning: int = 32768
    output_minimum: int = 256  # a clamped answer is never shorter
    require_hard_bound: bool = False
    margin_guard: MarginGuard = "off"  # what becomes of a call whose quoted charge is below its quoted cost
    allowances: dict[
        str, int
    ] = {}  # tokens that stand for a part nobody can bound, by metering.allowances.KINDS
    unknown_customer: Literal["refuse", "default_budget"] = "refuse"
    # Present where unknown customers get a budget of their own; its budget_id is filled in per customer.
    default_budget: BudgetRef | None = None
    drain_seconds: int = 60  # how long an abandoned stream is read on for its usage


def key_digest(secret: str) -> str:
    """The name under which a key is stored. 192 bits of randomness need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def encode_policy(policy: KeyPolicy | CustomerPolicy | TenantPolicy) -> bytes:
    """Encode a policy document for Redis."""
    return msgspec.json.encode(policy)
