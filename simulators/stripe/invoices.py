"""Invoices: drafts that follow the meters, then fixed, paid, voided or left open."""

from __future__ import annotations

from simulators.stripe.credits import apply_credit
from simulators.stripe.customers import find_customer
from simulators.stripe.events import emit
from simulators.stripe.forms import as_bool, as_int
from simulators.stripe.invoice_lines import add_up, item_line, refresh, subscription_line
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.payments import make_intent, pay_intent
from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, World, make_id

_PATH = "/v1/invoices"
_CHANGES = (
    "auto_advance automatically_finalizes_at collection_method days_until_due default_payment_method "
    "description due_date footer metadata number custom_fields payment_settings"
)


def blank_invoice(
    world: World, book: Book, *, customer: str, currency: str, reason: str, period_s: tuple[int, int]
) -> Obj:
    """Start a draft without lines."""
    name = make_id("in")
    return {
        "id": name, "object": "invoice", "amount_due": 0, "amount_overpaid": 0, "amount_paid": 0,
        "amount_paid_off_stripe": 0, "amount_remaining": 0, "amount_shipping": 0, "attempt_count": 0,
        "attempted": False, "auto_advance": True, "automatically_finalizes_at": None,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None
        },
        "billing_reason": reason, "collection_method": "charge_automatically",
        "created": world.clock.second(), "currency": currency, "customer": customer, "default_tax_rates": [],
        "description": None, "discounts": [], "due_date": None, "effective_at": None, "ending_balance": None,
        "footer": None, "hosted_invoice_url": None, "invoice_pdf": None, "issuer": {"type": "self"},
        "lines": {"object": "list", "data": [], "has_more": False, "url": f"{_PATH}/{name}/lines"},
        "livemode": book.livemode, "metadata": {}, "number": None, "parent": None,
        "payment_settings": {
            "default_mandate": None, "payment_method_options": None, "payment_method_types": None
        },
        "period_start": period_s[0], "period_end": period_s[1], "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "starting_balance": 0, "status": "draft",
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None
        },
        "subtotal": 0, "subtotal_excluding_tax": 0, "total": 0, "total_excluding_tax": 0,
        "total_discount_amounts": [], "total_pretax_credit_amounts": [], "total_taxes": [],
    }  # fmt: skip


def draw_up(world: World, book: Book, subscription: Obj, *, reason: str, period_s: tuple[int, int]) -> Obj:
    """Draw up a subscription's invoice: metered items for the period, the others for the one after it."""
    invoice = blank_invoice(
        world, book, customer=subscription["customer"], currency=subscription["currency"],
        reason=reason, period_s=period_s,
    )  # fmt: skip
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    invoice["parent"] = {
        "type": "subscription_details",
        "subscription_details": details,
        "quote_details": None,
    }
    invoice["collection_method"] = subscription["collection_method"]
    for item in subscription["items"]["data"]:
        metered = item["price"]["recurring"]["usage_type"] == "metered"
        if metered or reason == "subscription_create":
            span_s = period_s
        elif subscription["status"] == "canceled":
            continue
        else:
            span_s = (item["current_period_start"], item["current_period_end"])
        invoice["lines"]["data"].append(subscription_line(book, invoice, item, period_s=span_s))
    for each in [each for each in book.tables["invoiceitems"].values() if each["invoice"] is None]:
        if each["customer"] == invoice["customer"] and each["currency"] == invoice["currency"]:
            invoice["lines"]["data"].append(item_line(book, invoice, each))
            each["invoice"] = invoice["id"]
    return refresh(book, invoice)


def publish_draft(world: World, book: Book, invoice: Obj, *, draft_s: int | None) -> Obj:
    """Let a draft be seen, and have it finalized after its time, or at once when it has none."""
    book.put("invoices", invoice)
    if draft_s is not None:
        schedule(world, book, invoice, world.clock.second() + draft_s)
    emit(world, book, "invoice.created", invoice)
    return invoice if draft_s is not None else finalize(world, book, invoice)


def schedule(world: World, book: Book, invoice: Obj, due_s: int) -> None:
    """Have a draft finalized at a time, unless that time is changed meanwhile."""
    invoice["automatically_finalizes_at"] = due_s

    def finalize_when_due() -> None:
        if invoice["status"] == "draft" and invoice["automatically_finalizes_at"] == due_s:
            finalize(world, book, invoice)

    world.clock.at(due_s, finalize_when_due)


def finalize(world: World, book: Book, invoice: Obj) -> Obj:
    """Fix a draft's lines, apply credit, number it and, when it is to be charged, try to."""
    refresh(book, invoice)
    apply_credit(world, book, invoice)
    number = len([each for each in book.tables["invoices"].values() if each["number"]]) + 1
    invoice |= {
        "status": "open", "number": f"SIM-{number:04d}", "automatically_finalizes_at": None,
        "effective_at": world.clock.second(),
        "hosted_invoice_url": f"https://invoice.stripe.com/i/{invoice['id']}",
        "invoice_pdf": f"https://pay.stripe.com/invoice/{invoice['id']}/pdf",
    }  # fmt: skip
    invoice["status_transitions"]["finalized_at"] = world.clock.second()
    emit(world, book, "invoice.finalized", invoice)
    if invoice["amount_due"] == 0 or invoice["collection_method"] == "charge_automatically":
        collect(world, book, invoice)
    return invoice


def collect(world: World, book: Book, invoice: Obj) -> bool:
    """Try to collect what is due; nothing due is paid."""
    intent = None
    if invoice["amount_remaining"] > 0:
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        intent = make_intent(
            world, book, amount_minor=invoice["amount_remaining"], currency=invoice["currency"],
            customer=invoice["customer"], metadata={},
        )  # fmt: skip
        if not pay_intent(world, book, intent):
            emit(world, book, "invoice.payment_failed", invoice)
            _mark_subscription(world, book, invoice, status="past_due")
            return False
    settle(world, book, invoice)
    return True


def settle(world: World, book: Book, invoice: Obj) -> Obj:
    """Take note that an invoice is paid."""
    invoice |= {"status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0}
    invoice["status_transitions"]["paid_at"] = world.clock.second()
    emit(world, book, "invoice.paid", invoice)
    emit(world, book, "invoice.payment_succeeded", invoice)
    _mark_subscription(world, book, invoice, status="active")
    return invoice


@route(
    "POST",
    _PATH,
    permission="invoice_write",
    takes=_CHANGES + " customer currency subscription pending_invoice_items_behavior",
)
def create_invoice(call: Call) -> Obj:
    """Draw up a one-off draft from the customer's pending items."""
    customer = find_customer(call, call.need("customer"))
    invoice = blank_invoice(
        call.world, call.book, customer=customer["id"], currency=call.get("currency", "usd"),
        reason="manual", period_s=(call.now, call.now),
    )  # fmt: skip
    invoice |= {"auto_advance": False, "metadata": merge_metadata(call)}
    invoice["collection_method"] = call.get("collection_method", "charge_automatically")
    if call.get("pending_invoice_items_behavior", "exclude") == "include":
        for each in call.book.tables["invoiceitems"].values():
            if each["customer"] == customer["id"] and each["invoice"] is None:
                invoice["lines"]["data"].append(item_line(call.book, invoice, each))
                each["invoice"] = invoice["id"]
    add_up(invoice)
    call.book.put("invoices", invoice)
    emit(call.world, call.book, "invoice.created", invoice)
    return invoice


@route(
    "GET", _PATH, permission="invoice_read",
    takes=f"{PAGING} created collection_method customer due_date status subscription",
)  # fmt: skip
def list_invoices(call: Call) -> Obj:
    """List the invoices."""
    records = matching(call, call.book.all("invoices"), "customer", "status", "collection_method")
    wanted = call.get("subscription")
    if wanted is not None:
        records = [each for each in records if subscription_of(each) == wanted]
    return page(call, [refresh(call.book, each) for each in records])


@route("GET", _PATH + "/{id}", permission="invoice_read")
def retrieve_invoice(call: Call) -> Obj:
    """Show an invoice; a draft as of now."""
    return refresh(call.book, call.book.find("invoices", call.names["id"]))


@route("GET", _PATH + "/{id}/lines", permission="invoice_read", takes=PAGING)
def list_lines(call: Call) -> Obj:
    """List an invoice's lines."""
    invoice = refresh(call.book, call.book.find("invoices", call.names["id"]))
    return page(call, invoice["lines"]["data"])


@route("POST", _PATH + "/{id}", permission="invoice_write", takes=_CHANGES)
def update_invoice(call: Call) -> Obj:
    """Change an invoice; when it finalizes may be set only while it is a draft."""
    invoice = call.book.find("invoices", call.names["id"])
    invoice["metadata"] = merge_metadata(call, invoice["metadata"])
    rest: Obj = {name: call.get(name) for name in ("description", "footer") if name in call.params}
    due = call.get("automatically_finalizes_at")
    if (due is not None or rest or call.get("auto_advance") is not None) and invoice["status"] != "draft":
        raise _wrong_state(invoice, "updated in this way")
    invoice |= rest
    if call.get("auto_advance") is not None:
        invoice["auto_advance"] = as_bool(call.get("auto_advance"), "auto_advance")
    if due is not None:
        due_s = as_int(due, "automatically_finalizes_at")
        if due_s <= call.now:
            raise invalid("The time must be in the future.", param="automatically_finalizes_at")
        schedule(call.world, call.book, invoice, due_s)
    emit(call.world, call.book, "invoice.updated", invoice)
    return invoice


def subscription_of(invoice: Obj) -> str | None:
    """Name the subscription that an invoice is for."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


def _mark_subscription(world: World, book: Book, invoice: Obj, *, status: str) -> None:
    found = book.tables["subscriptions"].get(subscription_of(invoice) or "")
    if found is not None and found["status"] in {"active", "past_due"} and found["status"] != status:
        found["status"] = status
        emit(world, book, "customer.subscription.updated", found)


def _wrong_state(invoice: Obj, verb: str) -> Refused:
    return invalid(f"An invoice that is {invoice['status']} cannot be {verb}.", code="invoice_not_editable")
