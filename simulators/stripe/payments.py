"""Payments: intents, charges, refunds, and disputes that the control interface opens."""

from __future__ import annotations

from simulators.stripe.customers import find_customer
from simulators.stripe.events import emit
from simulators.stripe.forms import as_bool, as_int
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.refusals import Refused, invalid, missing
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, World, make_id

_INTENTS = "/v1/payment_intents"
_NEW_INTENT = (
    "amount currency customer confirm payment_method off_session metadata description setup_future_usage "
    "automatic_payment_methods payment_method_types receipt_email statement_descriptor_suffix return_url"
)
_DISPUTE_ENDS = frozenset({"won", "lost", "warning_closed"})


def make_intent(
    world: World, book: Book, *, amount_minor: int, currency: str, customer: str | None, metadata: Obj
) -> Obj:
    """Open a payment."""
    intent: Obj = {
        "id": make_id("pi"), "object": "payment_intent", "amount": amount_minor, "amount_received": 0,
        "amount_capturable": 0, "capture_method": "automatic", "client_secret": make_id("pi_secret"),
        "confirmation_method": "automatic", "created": world.clock.second(), "currency": currency,
        "customer": customer, "description": None, "last_payment_error": None, "latest_charge": None,
        "livemode": book.livemode, "metadata": metadata, "payment_method": None,
        "payment_method_types": ["card"], "status": "requires_payment_method", "canceled_at": None,
    }  # fmt: skip
    emit(world, book, "payment_intent.created", intent)
    return book.put("payment_intents", intent)


def pay_intent(world: World, book: Book, intent: Obj, *, method: str = "pm_card_visa") -> bool:
    """Try a payment; it fails when the knob says so or the card is one that is declined."""
    if world.knobs.payments == "fail" or "Declined" in method:
        intent["last_payment_error"] = {
            "code": "card_declined", "decline_code": "generic_decline", "type": "card_error",
            "message": "Your card was declined.",
        }  # fmt: skip
        intent["status"] = "requires_payment_method"
        emit(world, book, "payment_intent.payment_failed", intent)
        return False
    charge = book.put("charges", {
        "id": make_id("ch"), "object": "charge", "amount": intent["amount"], "amount_captured": intent["amount"],
        "amount_refunded": 0, "captured": True, "created": world.clock.second(),
        "currency": intent["currency"], "customer": intent["customer"], "dispute": None, "disputed": False,
        "livemode": book.livemode, "metadata": intent["metadata"], "paid": True,
        "payment_intent": intent["id"], "payment_method": method, "refunded": False, "status": "succeeded",
    })  # fmt: skip
    intent |= {
        "status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"],
        "payment_method": method,
    }  # fmt: skip
    emit(world, book, "charge.succeeded", charge)
    emit(world, book, "payment_intent.succeeded", intent)
    return True


@route("POST", _INTENTS, permission="payment_intent_write", takes=_NEW_INTENT)
def create_intent(call: Call) -> Obj:
    """Create a payment, and try it at once when told to."""
    amount_minor = as_int(call.need("amount"), "amount")
    if amount_minor < 1:
        raise invalid("This value must be greater than or equal to 1.", param="amount").unsaved()
    currency, customer = str(call.need("currency")).lower(), call.get("customer")
    if customer is not None:
        find_customer(call, customer)
    intent = make_intent(
        call.world, call.book, amount_minor=amount_minor, currency=currency, customer=customer,
        metadata=merge_metadata(call),
    )  # fmt: skip
    intent["description"] = call.get("description")
    return _confirm(call, intent) if as_bool(call.get("confirm", "false"), "confirm") else intent


@route("POST", _INTENTS + "/{id}/confirm", permission="payment_intent_write", takes=_NEW_INTENT)
def confirm_intent(call: Call) -> Obj:
    """Try a payment."""
    intent = call.book.find("payment_intents", call.names["id"])
    if intent["status"] in {"succeeded", "canceled"}:
        raise _wrong_state(intent, "confirm")
    return _confirm(call, intent)


@route("POST", _INTENTS + "/{id}/cancel", permission="payment_intent_write", takes="cancellation_reason")
def cancel_intent(call: Call) -> Obj:
    """Give a payment up."""
    intent = call.book.find("payment_intents", call.names["id"])
    if intent["status"] in {"succeeded", "canceled"}:
        raise _wrong_state(intent, "cancel")
    intent |= {"status": "canceled", "canceled_at": call.now}
    emit(call.world, call.book, "payment_intent.canceled", intent)
    return intent


@route("GET", _INTENTS, permission="payment_intent_read", takes=f"{PAGING} created customer")
def list_intents(call: Call) -> Obj:
    """List the payments."""
    return page(call, matching(call, call.book.all("payment_intents"), "customer"))


@route("GET", _INTENTS + "/{id}", permission="payment_intent_read", takes="client_secret")
def retrieve_intent(call: Call) -> Obj:
    """Show a payment."""
    return call.book.find("payment_intents", call.names["id"])


@route("GET", "/v1/charges/{id}", permission="charge_read")
def retrieve_charge(call: Call) -> Obj:
    """Show a charge."""
    return call.book.find("charges", call.names["id"])


@route("GET", "/v1/charges", permission="charge_read", takes=f"{PAGING} created customer payment_intent")
def list_charges(call: Call) -> Obj:
    """List the charges."""
    return page(call, matching(call, call.book.all("charges"), "customer", "payment_intent"))


@route("POST", "/v1/refunds", permission="charge_write", takes="payment_intent charge amount reason metadata")
def create_refund(call: Call) -> Obj:
    """Give money back, no more than is left of the charge."""
    charge = _charge_of(call)
    left_minor = charge["amount"] - charge["amount_refunded"]
    amount_minor = as_int(call.get("amount", left_minor), "amount")
    if charge["refunded"]:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if not 0 < amount_minor <= left_minor:
        message = f"Refund amount ({amount_minor}) is greater than unrefunded amount on charge ({left_minor})"
        raise invalid(message, param="amount")
    charge["amount_refunded"] += amount_minor
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    refund: Obj = {
        "id": make_id("re"), "object": "refund", "amount": amount_minor, "charge": charge["id"],
        "created": call.now, "currency": charge["currency"], "metadata": merge_metadata(call),
        "payment_intent": charge["payment_intent"], "reason": call.get("reason"), "status": "succeeded",
    }  # fmt: skip
    call.book.put("refunds", refund)
    emit(call.world, call.book, "refund.created", refund)
    emit(call.world, call.book, "charge.refunded", charge)
    return refund


def end_refund(world: World, book: Book, refund: Obj, *, status: str) -> Obj:
    """Have a bank turn a refund back: the money is the account's again."""
    if status not in {"failed", "canceled"} or refund["status"] == status:
        raise invalid(f"A refund that is {refund['status']} cannot become {status}.", param="status")
    charge = book.tables["charges"][refund["charge"]]
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    refund["status"] = status
    emit(world, book, "refund.failed", refund)
    return refund


@route("GET", "/v1/refunds", permission="charge_read", takes=f"{PAGING} created charge payment_intent")
def list_refunds(call: Call) -> Obj:
    """List the refunds."""
    return page(call, matching(call, call.book.all("refunds"), "charge", "payment_intent"))


@route("GET", "/v1/refunds/{id}", permission="charge_read")
def retrieve_refund(call: Call) -> Obj:
    """Show a refund."""
    return call.book.find("refunds", call.names["id"])


def open_dispute(world: World, book: Book, charge: Obj, *, reason: str = "fraudulent") -> Obj:
    """Have a cardholder dispute a charge."""
    if charge["disputed"]:
        raise invalid(f"Charge {charge['id']} is disputed already.")
    dispute: Obj = {
        "id": make_id("dp"), "object": "dispute", "amount": charge["amount"], "charge": charge["id"],
        "created": world.clock.second(), "currency": charge["currency"], "is_charge_refundable": False,
        "livemode": book.livemode, "metadata": {}, "payment_intent": charge["payment_intent"],
        "reason": reason, "status": "needs_response",
    }  # fmt: skip
    charge |= {"disputed": True, "dispute": dispute["id"]}
    book.put("disputes", dispute)
    emit(world, book, "charge.dispute.created", dispute)
    emit(world, book, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(world: World, book: Book, dispute: Obj, *, status: str) -> Obj:
    """Decide a dispute."""
    if status not in _DISPUTE_ENDS or dispute["status"] in _DISPUTE_ENDS:
        raise invalid(f"A dispute that is {dispute['status']} cannot become {status}.", param="status")
    dispute["status"] = status
    emit(world, book, "charge.dispute.closed", dispute)
    if status == "won":
        emit(world, book, "charge.dispute.funds_reinstated", dispute)
    return dispute


@route("GET", "/v1/disputes", permission="dispute_read", takes=f"{PAGING} created charge payment_intent")
def list_disputes(call: Call) -> Obj:
    """List the disputes."""
    return page(call, matching(call, call.book.all("disputes"), "charge", "payment_intent"))


@route("GET", "/v1/disputes/{id}", permission="dispute_read")
def retrieve_dispute(call: Call) -> Obj:
    """Show a dispute."""
    return call.book.find("disputes", call.names["id"])


def _confirm(call: Call, intent: Obj) -> Obj:
    method = str(call.get("payment_method") or intent["payment_method"] or "pm_card_visa")
    if not pay_intent(call.world, call.book, intent, method=method):
        refusal = Refused(402, "Your card was declined.", kind="card_error", code="card_declined")
        refusal.extra |= {"decline_code": "generic_decline", "payment_intent": intent}
        raise refusal
    return intent


def _charge_of(call: Call) -> Obj:
    if call.get("charge") is not None:
        return call.book.find("charges", call.get("charge"), param="charge")
    intent = call.book.find("payment_intents", call.need("payment_intent"), param="payment_intent")
    if intent["latest_charge"] is None:
        raise missing("charge", intent["id"], param="payment_intent")
    return call.book.find("charges", intent["latest_charge"])


def _wrong_state(intent: Obj, verb: str) -> Refused:
    message = f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
    return invalid(message, code="payment_intent_unexpected_state")
