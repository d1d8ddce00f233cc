"""Checkout sessions: created by callers, paid or left to expire by the control interface."""

from __future__ import annotations

from simulators.stripe.catalog import make_product
from simulators.stripe.customers import find_customer
from simulators.stripe.events import emit
from simulators.stripe.forms import as_int, as_list, as_mapping
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.payments import make_intent, pay_intent
from simulators.stripe.refusals import invalid, no_value
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, World, make_id
from simulators.stripe.subscriptions import start

_PATH = "/v1/checkout/sessions"
_OPEN_S = 24 * 3600
STRIPES_OWN = "https://checkout.stripe.com"
_TAKES = (
    "allow_promotion_codes automatic_tax billing_address_collection cancel_url client_reference_id currency "
    "customer customer_creation customer_email customer_update expires_at invoice_creation line_items locale "
    "metadata mode payment_intent_data payment_method_collection payment_method_types setup_intent_data "
    "subscription_data submit_type success_url ui_mode return_url tax_id_collection"
)


@route("POST", _PATH, permission="checkout_session_write", takes=_TAKES)
def create_session(call: Call) -> Obj:
    """Open a page to pay on."""
    mode, customer = call.need("mode"), call.get("customer")
    if mode not in {"payment", "subscription", "setup"}:
        raise invalid(f"Invalid mode: {mode}", param="mode").unsaved()
    if customer is not None:
        find_customer(call, customer)
    lines = [_read_line(call, each) for each in as_list(call.get("line_items"), "line_items")]
    if not lines and mode != "setup":
        raise no_value("line_items")
    total_minor = sum(each["amount_total"] for each in lines)
    expires_s = as_int(call.get("expires_at", call.now + _OPEN_S), "expires_at")
    name = make_id("cs_live" if call.book.livemode else "cs_test")
    intent_data = as_mapping(call.get("payment_intent_data"), "payment_intent_data")
    session: Obj = {
        "id": name, "object": "checkout.session", "amount_subtotal": total_minor, "amount_total": total_minor,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": call.get("cancel_url"), "client_reference_id": call.get("client_reference_id"),
        "created": call.now, "currency": lines[0]["currency"] if lines else None, "custom_fields": [],
        "custom_text": {
            "after_submit": None, "shipping_address": None, "submit": None, "terms_of_service_acceptance": None
        },
        "customer": customer, "customer_email": call.get("customer_email"), "expires_at": expires_s,
        "invoice": None, "livemode": call.book.livemode, "metadata": merge_metadata(call), "mode": mode,
        "payment_intent": None, "payment_method_types": ["card"],
        "payment_status": "unpaid" if total_minor else "no_payment_required", "setup_intent": None,
        "shipping_options": [], "status": "open", "subscription": None,
        "success_url": call.get("success_url"), "url": f"{call.world.pays_at or STRIPES_OWN}/c/pay/{name}",
    }  # fmt: skip
    call.book.put(
        "session_lines", {"id": name, "lines": lines, "intent_metadata": intent_data.get("metadata") or {}}
    )
    call.world.clock.at(expires_s, lambda: _expire_when_open(call.world, call.book, session))
    return call.book.put("sessions", session)


@route(
    "GET",
    _PATH,
    permission="checkout_session_read",
    takes=f"{PAGING} created customer payment_intent status subscription",
)
def list_sessions(call: Call) -> Obj:
    """List the sessions."""
    names = ("customer", "payment_intent", "status", "subscription")
    return page(call, matching(call, call.book.all("sessions"), *names))


@route("GET", _PATH + "/{id}", permission="checkout_session_read")
def retrieve_session(call: Call) -> Obj:
    """Show a session."""
    return call.book.find("sessions", call.names["id"])


@route("GET", _PATH + "/{id}/line_items", permission="checkout_session_read", takes=PAGING)
def list_session_lines(call: Call) -> Obj:
    """List what a session sells."""
    session = call.book.find("sessions", call.names["id"])
    return page(call, call.book.tables["session_lines"][session["id"]]["lines"])


@route("POST", _PATH + "/{id}/expire", permission="checkout_session_write")
def expire_session(call: Call) -> Obj:
    """Close a session that nobody has paid."""
    return expire(call.world, call.book, call.book.find("sessions", call.names["id"]))


def expire(world: World, book: Book, session: Obj) -> Obj:
    """Let a session expire."""
    if session["status"] != "open":
        raise invalid(f"Only open Checkout Sessions can be expired; this one is {session['status']}.")
    session |= {"status": "expired", "url": None}
    emit(world, book, "checkout.session.expired", session)
    return session


def pay(world: World, book: Book, session: Obj, *, method: str = "pm_card_visa") -> Obj:
    """Pay a session, as the customer on its page does; a declined card leaves it open."""
    if session["status"] != "open":
        raise invalid(f"The session is {session['status']}.")
    kept = book.tables["session_lines"][session["id"]]
    if session["mode"] == "payment" and session["amount_total"]:
        intent = make_intent(
            world, book, amount_minor=session["amount_total"], currency=session["currency"],
            customer=session["customer"], metadata=kept["intent_metadata"],
        )  # fmt: skip
        if not pay_intent(world, book, intent, method=method):
            return session
        session |= {"payment_intent": intent["id"], "payment_status": "paid"}
    if session["mode"] == "subscription":
        _subscribe(world, book, session, kept["lines"])
    if session["mode"] == "setup":
        session |= {"setup_intent": make_id("seti"), "payment_status": "no_payment_required"}
    session |= {"status": "complete", "url": None}
    emit(world, book, "checkout.session.completed", session)
    return session


def pay_later(world: World, book: Book, session: Obj) -> Obj:
    """Finish a session by a method whose money comes days later: complete, and not paid yet."""
    if session["status"] != "open" or session["mode"] != "payment":
        raise invalid(f"The session is {session['status']}, for {session['mode']}.")
    kept = book.tables["session_lines"][session["id"]]
    intent = make_intent(
        world, book, amount_minor=session["amount_total"], currency=session["currency"],
        customer=session["customer"], metadata=kept["intent_metadata"],
    )  # fmt: skip
    intent["status"] = "processing"
    session |= {"payment_intent": intent["id"], "status": "complete", "url": None}
    emit(world, book, "checkout.session.completed", session)
    return session


def arrive(world: World, book: Book, session: Obj, *, method: str = "pm_card_visa") -> Obj:
    """Have the money of a session that was paid later arrive, or with a method that is declined bounce."""
    if session["status"] != "complete" or session["payment_status"] != "unpaid":
        raise invalid(f"Nothing is on its way for a session that is {session['payment_status']}.")
    intent = book.tables["payment_intents"][session["payment_intent"]]
    if pay_intent(world, book, intent, method=method):
        session["payment_status"] = "paid"
        emit(world, book, "checkout.session.async_payment_succeeded", session)
    else:
        emit(world, book, "checkout.session.async_payment_failed", session)
    return session


def _subscribe(world: World, book: Book, session: Obj, lines: list[Obj]) -> None:
    items = [{"price": each["price"]["id"]} for each in lines]
    customer = session["customer"] or book.put("customers", {
        "id": make_id("cus"), "object": "customer", "created": world.clock.second(), "metadata": {},
        "livemode": book.livemode, "email": session["customer_email"], "name": None,
        "invoice_settings": {"default_payment_method": "pm_card_visa"},
    })["id"]  # fmt: skip
    made = start(world, book, customer=customer, items=items, options={})
    session |= {"customer": customer, "subscription": made["id"], "invoice": made["latest_invoice"]}
    session["payment_status"] = "paid" if session["amount_total"] else "no_payment_required"


def _expire_when_open(world: World, book: Book, session: Obj) -> None:
    if session["status"] == "open":
        expire(world, book, session)


def _read_line(call: Call, wanted: Obj) -> Obj:
    quantity = as_int(wanted.get("quantity", 1), "line_items[0][quantity]")
    data = as_mapping(wanted.get("price_data"), "line_items[0][price_data]")
    if data:
        product = as_mapping(data.get("product_data"), "product_data")
        named = data.get("product") or make_product(call, str(product.get("name")))["id"]
        price: Obj = {
            "id": make_id("price"), "object": "price", "currency": str(data.get("currency")).lower(),
            "product": named, "recurring": None, "unit_amount": as_int(data.get("unit_amount"), "unit_amount"),
        }  # fmt: skip
    else:
        price = call.book.find("prices", wanted.get("price"), param="line_items[0][price]")
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    amount_minor = 0 if metered else (price["unit_amount"] or 0) * quantity
    return {
        "id": make_id("li"), "object": "item", "amount_subtotal": amount_minor, "amount_total": amount_minor,
        "currency": price["currency"], "description": None, "price": price,
        "quantity": None if metered else quantity,
    }  # fmt: skip
