"""What ends an invoice: finalizing, paying, voiding, writing off, deleting a draft; and one-off items."""

from __future__ import annotations

from simulators.stripe.customers import find_customer
from simulators.stripe.events import emit
from simulators.stripe.forms import as_bool, as_int
from simulators.stripe.invoice_lines import add_up, item_line, refresh
from simulators.stripe.invoices import collect, draw_up, finalize, settle
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Obj, make_id

_ONE = "/v1/invoices/{id}"
_WRITE = "invoice_write"


@route("POST", _ONE + "/finalize", permission=_WRITE, takes="auto_advance")
def finalize_invoice(call: Call) -> Obj:
    """Finalize a draft before its time."""
    invoice = call.book.find("invoices", call.names["id"])
    if invoice["status"] != "draft":
        message = "This invoice is already finalized, you can't re-finalize a non-draft invoice."
        raise invalid(message, code="invoice_not_editable")
    return finalize(call.world, call.book, invoice)


@route(
    "POST",
    _ONE + "/pay",
    permission=_WRITE,
    takes="forgive off_session paid_out_of_band payment_method source",
)
def pay_invoice(call: Call) -> Obj:
    """Collect an invoice, or take note that it was paid elsewhere."""
    invoice = _in_state(call, "paid", "draft", "open", "uncollectible")
    if invoice["status"] == "draft":
        finalize(call.world, call.book, invoice)
    if invoice["status"] == "paid":
        return invoice
    if as_bool(call.get("paid_out_of_band", "false"), "paid_out_of_band"):
        invoice["amount_paid_off_stripe"] = invoice["amount_due"]
        return settle(call.world, call.book, invoice)
    if not collect(call.world, call.book, invoice):
        raise Refused(402, "Your card was declined.", kind="card_error", code="card_declined")
    return invoice


@route("POST", _ONE + "/void", permission=_WRITE)
def void_invoice(call: Call) -> Obj:
    """Void an invoice that is open."""
    invoice = _in_state(call, "voided", "open", "uncollectible")
    invoice["status"] = "void"
    invoice["status_transitions"]["voided_at"] = call.now
    emit(call.world, call.book, "invoice.voided", invoice)
    return invoice


@route("POST", _ONE + "/mark_uncollectible", permission=_WRITE)
def write_off_invoice(call: Call) -> Obj:
    """Write an open invoice off."""
    invoice = _in_state(call, "marked uncollectible", "open")
    invoice["status"] = "uncollectible"
    invoice["status_transitions"]["marked_uncollectible_at"] = call.now
    emit(call.world, call.book, "invoice.marked_uncollectible", invoice)
    return invoice


@route("DELETE", _ONE, permission=_WRITE)
def delete_invoice(call: Call) -> Obj:
    """Delete a draft that no subscription made."""
    invoice = _in_state(call, "deleted", "draft")
    if invoice["parent"] is not None:
        raise invalid("You can't delete invoices created by subscriptions.")
    del call.book.tables["invoices"][invoice["id"]]
    emit(call.world, call.book, "invoice.deleted", invoice)
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


@route(
    "POST", "/v1/invoices/create_preview", permission="invoice_read",
    takes="customer subscription currency automatic_tax discounts invoice_items preview_mode subscription_details",
)  # fmt: skip
def preview_invoice(call: Call) -> Obj:
    """Show what a subscription's next invoice would be as of now."""
    wanted, customer = call.get("subscription"), call.get("customer")
    records = matching(call, call.book.all("subscriptions"), "customer")
    if wanted is not None:
        subscription = call.book.find("subscriptions", wanted, param="subscription")
    elif customer is not None and records:
        subscription = records[0]
    else:
        message = "No upcoming invoices for customer: " + str(customer)
        raise Refused(404, message, code="invoice_upcoming_none")
    if subscription["status"] == "canceled":
        raise Refused(
            404, "No upcoming invoices: the subscription is canceled.", code="invoice_upcoming_none"
        )
    item = subscription["items"]["data"][0]
    period_s = (item["current_period_start"], item["current_period_end"])
    taken = [each["id"] for each in call.book.tables["invoiceitems"].values() if each["invoice"] is None]
    invoice = draw_up(call.world, call.book, subscription, reason="upcoming", period_s=period_s)
    for name in taken:
        call.book.tables["invoiceitems"][name]["invoice"] = None
    invoice["id"] = invoice["id"].replace("in_", "upcoming_in_")
    return invoice


@route(
    "POST", "/v1/invoiceitems", permission=_WRITE,
    takes="customer amount currency description invoice metadata period quantity subscription",
)  # fmt: skip
def create_item(call: Call) -> Obj:
    """Add a one-off item, to a draft or to the customer's next invoice."""
    customer = find_customer(call, call.need("customer"))
    item: Obj = {
        "id": make_id("ii"), "object": "invoiceitem", "amount": as_int(call.need("amount"), "amount"),
        "currency": str(call.need("currency")).lower(), "customer": customer["id"], "date": call.now,
        "created": call.now, "description": call.get("description"), "discountable": True, "discounts": [],
        "invoice": call.get("invoice"), "livemode": call.book.livemode, "metadata": merge_metadata(call),
        "parent": None, "period": {"start": call.now, "end": call.now}, "pricing": None, "proration": False,
        "quantity": 1, "quantity_decimal": "1", "tax_rates": [], "test_clock": None,
    }  # fmt: skip
    if item["invoice"] is not None:
        invoice = call.book.find("invoices", item["invoice"], param="invoice")
        if invoice["status"] != "draft":
            raise invalid("You can only add items to a draft invoice.", param="invoice")
        invoice["lines"]["data"].append(item_line(call.book, invoice, item))
        add_up(invoice)
    emit(call.world, call.book, "invoiceitem.created", item)
    return call.book.put("invoiceitems", item)


@route(
    "GET", "/v1/invoiceitems", permission="invoice_read", takes=f"{PAGING} created customer invoice pending"
)
def list_items(call: Call) -> Obj:
    """List the one-off items."""
    return page(call, matching(call, call.book.all("invoiceitems"), "customer", "invoice"))


def _in_state(call: Call, verb: str, *states: str) -> Obj:
    invoice = refresh(call.book, call.book.find("invoices", call.names["id"]))
    if invoice["status"] not in states:
        message = f"You can only have invoices {verb} that are {' or '.join(states)}; this one is {invoice['status']}."
        raise invalid(message)
    return invoice
