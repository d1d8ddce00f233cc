"""Customers, and the account itself."""

from __future__ import annotations

from simulators.stripe.events import emit
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import change_texts, merge_metadata
from simulators.stripe.refusals import missing
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.searching import search
from simulators.stripe.store import Obj, make_id

_PATH = "/v1/customers"
_TEXTS = ("name", "email", "description", "phone", "tax_exempt")
_TAKES = (
    "address balance business_name description email individual_name invoice_prefix invoice_settings "
    "metadata name payment_method phone preferred_locales shipping source tax tax_exempt test_clock"
)


@route("POST", _PATH, permission="customer_write", takes=_TAKES)
def create_customer(call: Call) -> Obj:
    """Create a customer."""
    settings = call.get("invoice_settings") or {}
    customer: Obj = {
        "id": make_id("cus"), "object": "customer", "address": call.get("address"), "balance": 0,
        "created": call.now, "currency": None, "default_source": None, "delinquent": False,
        "description": None, "email": None, "invoice_prefix": make_id("x")[2:10].upper(),
        "invoice_settings": {
            "custom_fields": None, "default_payment_method": settings.get("default_payment_method"),
            "footer": None, "rendering_options": None,
        },
        "livemode": call.book.livemode, "metadata": merge_metadata(call), "name": None, "phone": None,
        "preferred_locales": [], "shipping": None, "tax_exempt": "none", "test_clock": None,
    }  # fmt: skip
    customer |= change_texts(call, *_TEXTS)
    emit(call.world, call.book, "customer.created", customer)
    return call.book.put("customers", customer)


@route("GET", _PATH, permission="customer_read", takes=f"{PAGING} created email test_clock")
def list_customers(call: Call) -> Obj:
    """List the customers who are not deleted."""
    return page(call, matching(call, _present(call), "email"))


@route("GET", _PATH + "/search", permission="customer_read", takes="query limit page")
def search_customers(call: Call) -> Obj:
    """Search the customers."""
    return search(call, _present(call))


@route("GET", _PATH + "/{id}", permission="customer_read")
def retrieve_customer(call: Call) -> Obj:
    """Show a customer; of a deleted one, only that it is."""
    return call.book.find("customers", call.names["id"])


@route("POST", _PATH + "/{id}", permission="customer_write", takes=_TAKES + " default_source")
def update_customer(call: Call) -> Obj:
    """Change a customer."""
    customer = find_customer(call, call.names["id"], param="id")
    customer |= change_texts(call, *_TEXTS)
    customer["metadata"] = merge_metadata(call, customer["metadata"])
    customer["invoice_settings"] |= call.get("invoice_settings") or {}
    emit(call.world, call.book, "customer.updated", customer)
    return customer


@route("DELETE", _PATH + "/{id}", permission="customer_write")
def delete_customer(call: Call) -> Obj:
    """Delete a customer for good, with their subscriptions."""
    customer = find_customer(call, call.names["id"], param="id")
    for each in call.book.tables["subscriptions"].values():
        if each["customer"] == customer["id"] and each["status"] != "canceled":
            each |= {"status": "canceled", "canceled_at": call.now, "ended_at": call.now}
            emit(call.world, call.book, "customer.subscription.deleted", each)
    emit(call.world, call.book, "customer.deleted", customer)
    gone = {"id": customer["id"], "object": "customer", "deleted": True}
    return call.book.put("customers", gone)


def find_customer(call: Call, name: object, *, param: str = "customer") -> Obj:
    """Find a customer who is not deleted."""
    customer = call.book.find("customers", name, param=param)
    if customer.get("deleted"):
        raise missing("customer", name, param=param)
    return customer


def _present(call: Call) -> list[Obj]:
    return [each for each in call.book.all("customers") if not each.get("deleted")]


@route("GET", "/v1/account", permission="account_read")
def retrieve_own_account(call: Call) -> Obj:
    """Show the account that the key acts on."""
    return _account(call, call.book.account)


@route("GET", "/v1/accounts/{id}", permission="account_read")
def retrieve_account(call: Call) -> Obj:
    """Show an account."""
    return _account(call, call.world.keys.reach(call.key, call.names["id"]))


def _account(call: Call, name: str) -> Obj:
    return {
        "id": name, "object": "account", "charges_enabled": True, "country": "US", "default_currency": "usd",
        "details_submitted": True, "email": f"{name}@example.com", "payouts_enabled": True, "type": "standard",
    }  # fmt: skip
