"""Credit grants: money that metered lines draw on when their invoice is finalized."""

from __future__ import annotations

from simulators.stripe.customers import find_customer
from simulators.stripe.events import emit
from simulators.stripe.forms import as_int, as_mapping
from simulators.stripe.invoice_lines import add_up
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.refusals import invalid
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, World, make_id

_PATH = "/v1/billing/credit_grants"
_PERMISSION = "billing_credit_grant"
_TAKES = "amount applicability_config category customer effective_at expires_at metadata name priority"
_UNUSED_MAX = 100
_PRIORITY_DEFAULT = 50


@route("POST", _PATH, permission=f"{_PERMISSION}_write", takes=_TAKES)
def create_grant(call: Call) -> Obj:
    """Grant a customer credit."""
    customer = find_customer(call, call.need("customer"))
    amount = as_mapping(call.need("amount"), "amount")
    monetary = as_mapping(amount.get("monetary"), "amount[monetary]")
    value_minor = as_int(monetary.get("value"), "amount[monetary][value]")
    if amount.get("type") != "monetary" or value_minor <= 0:
        raise invalid("A credit grant has a monetary amount above zero.", param="amount").unsaved()
    if len([each for each in _grants(call.book, customer["id"]) if left_of(call.book, each)]) >= _UNUSED_MAX:
        raise invalid(f"A customer can have up to {_UNUSED_MAX} unused credit grants.", param="customer")
    expires = call.get("expires_at")
    grant: Obj = {
        "id": make_id("credgr"), "object": "billing.credit_grant",
        "amount": {
            "type": "monetary",
            "monetary": {"currency": str(monetary.get("currency")).lower(), "value": value_minor},
        },
        "applicability_config": call.need("applicability_config"), "category": call.get("category", "paid"),
        "created": call.now, "customer": customer["id"],
        "effective_at": as_int(call.get("effective_at", call.now), "effective_at"),
        "expires_at": None if expires is None else as_int(expires, "expires_at"),
        "livemode": call.book.livemode, "metadata": merge_metadata(call), "name": call.get("name"),
        "priority": as_int(call.get("priority", _PRIORITY_DEFAULT), "priority"), "test_clock": None,
        "updated": call.now, "voided_at": None,
    }  # fmt: skip
    call.book.put("credit_left", {"id": grant["id"], "left": value_minor})
    emit(call.world, call.book, "billing.credit_grant.created", grant)
    return call.book.put("credit_grants", grant)


@route("GET", _PATH, permission=f"{_PERMISSION}_read", takes=f"{PAGING} customer")
def list_grants(call: Call) -> Obj:
    """List the credit grants."""
    return page(call, matching(call, call.book.all("credit_grants"), "customer"))


@route("GET", _PATH + "/{id}", permission=f"{_PERMISSION}_read")
def retrieve_grant(call: Call) -> Obj:
    """Show a credit grant."""
    return call.book.find("credit_grants", call.names["id"])


@route("POST", _PATH + "/{id}", permission=f"{_PERMISSION}_write", takes="expires_at metadata")
def update_grant(call: Call) -> Obj:
    """Change a credit grant's metadata or end."""
    grant = call.book.find("credit_grants", call.names["id"])
    grant["metadata"] = merge_metadata(call, grant["metadata"])
    if call.get("expires_at") is not None:
        grant["expires_at"] = as_int(call.get("expires_at"), "expires_at")
    return grant


@route("POST", _PATH + "/{id}/expire", permission=f"{_PERMISSION}_write")
def expire_grant(call: Call) -> Obj:
    """End a credit grant now."""
    grant = call.book.find("credit_grants", call.names["id"])
    grant |= {"expires_at": call.now, "updated": call.now}
    return grant


@route("POST", _PATH + "/{id}/void", permission=f"{_PERMISSION}_write")
def void_grant(call: Call) -> Obj:
    """Take a credit grant back that nothing was drawn from."""
    grant = call.book.find("credit_grants", call.names["id"])
    if left_of(call.book, grant) != grant["amount"]["monetary"]["value"]:
        raise invalid("The credit grant has been used and cannot be voided.")
    grant |= {"voided_at": call.now, "updated": call.now}
    return grant


@route(
    "GET", "/v1/billing/credit_balance_summary",
    permission=f"{_PERMISSION}_read", takes="customer filter",
)  # fmt: skip
def summarize_balance(call: Call) -> Obj:
    """Sum what is left of a customer's grants, by currency."""
    customer = find_customer(call, call.need("customer"))
    sums: dict[str, int] = {}
    for grant in _grants(call.book, customer["id"]):
        if _usable(grant, call.now):
            currency = grant["amount"]["monetary"]["currency"]
            sums[currency] = sums.get(currency, 0) + left_of(call.book, grant)
    balances = []
    for currency, value_minor in sums.items():
        held = {"type": "monetary", "monetary": {"currency": currency, "value": value_minor}}
        balances.append({"available_balance": held, "ledger_balance": held})
    return {
        "object": "billing.credit_balance_summary", "balances": balances, "customer": customer["id"],
        "customer_account": None, "livemode": call.book.livemode,
    }  # fmt: skip


def left_of(book: Book, grant: Obj) -> int:
    """Tell what is left of a grant, in minor units."""
    return int(book.tables["credit_left"][grant["id"]]["left"])


def apply_credit(world: World, book: Book, invoice: Obj) -> None:
    """Draw an invoice's metered lines from the customer's grants, lowest priority number first."""
    metered = {
        each["id"] for each in book.tables["prices"].values() if (each["recurring"] or {}).get("meter")
    }
    open_minor = sum(
        line["amount"] for line in invoice["lines"]["data"] if _price_of(line) in metered
    )  # fmt: skip
    used_minor, amounts = 0, []
    for grant in sorted(
        _grants(book, invoice["customer"]), key=lambda each: (each["priority"], each["created"])
    ):
        if not _usable(grant, world.clock.second()):
            continue
        if grant["amount"]["monetary"]["currency"] != invoice["currency"]:
            continue
        drawn_minor = min(open_minor - used_minor, left_of(book, grant))
        if drawn_minor > 0:
            book.tables["credit_left"][grant["id"]]["left"] -= drawn_minor
            used_minor += drawn_minor
            amounts.append({
                "amount": drawn_minor, "type": "credit_balance_transaction",
                "credit_balance_transaction": make_id("cbtxn"),
            })  # fmt: skip
    invoice["total_pretax_credit_amounts"] = amounts
    add_up(invoice, credit_minor=used_minor)


def _grants(book: Book, customer: str) -> list[Obj]:
    return [each for each in book.tables["credit_grants"].values() if each["customer"] == customer]


def _price_of(line: Obj) -> str | None:
    details = (line["pricing"] or {}).get("price_details") or {}
    return details.get("price")


def _usable(grant: Obj, now_s: int) -> bool:
    ended = grant["expires_at"] is not None and grant["expires_at"] <= now_s
    return grant["voided_at"] is None and not ended and grant["effective_at"] <= now_s
