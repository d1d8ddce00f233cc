"""An invoice's lines: what was used in their period, times the price, rounded once for each line."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from simulators.stripe.catalog import plain_digits
from simulators.stripe.meters import counted, total_of
from simulators.stripe.store import Book, Obj, make_id


def subscription_line(book: Book, invoice: Obj, item: Obj, *, period_s: tuple[int, int]) -> Obj:
    """Draw up the line of a subscription's item for a period."""
    subscription = item["subscription"]
    details = {
        "invoice_item": None, "proration": False, "subscription": subscription,
        "proration_details": {"credited_items": None}, "subscription_item": item["id"],
    }  # fmt: skip
    parent = {
        "type": "subscription_item_details", "subscription_item_details": details, "invoice_item_details": None,
    }  # fmt: skip
    line = _line(book, invoice, item["price"], parent=parent, period_s=period_s)
    line["subscription"] = subscription
    line["quantity"] = item.get("quantity", 0)
    _price_line(line, item["price"], Decimal(line["quantity"]))
    return line


def item_line(book: Book, invoice: Obj, item: Obj) -> Obj:
    """Draw up the line of a one-off invoice item."""
    details = {
        "invoice_item": item["id"], "proration": False, "subscription": None,
        "proration_details": {"credited_items": None},
    }  # fmt: skip
    parent = {
        "type": "invoice_item_details", "invoice_item_details": details, "subscription_item_details": None,
    }  # fmt: skip
    line = _line(
        book, invoice, None, parent=parent, period_s=(item["period"]["start"], item["period"]["end"])
    )
    line |= {
        "amount": item["amount"], "subtotal": item["amount"], "quantity": 1, "quantity_decimal": "1",
        "description": item["description"], "metadata": item["metadata"], "pricing": None,
    }  # fmt: skip
    return line


def refresh(book: Book, invoice: Obj) -> Obj:
    """Bring a draft's metered lines up to what is counted now; an invoice past its draft stays as it is."""
    if invoice["status"] != "draft":
        return invoice
    for line in invoice["lines"]["data"]:
        price = book.tables["prices"].get(
            ((line["pricing"] or {}).get("price_details") or {}).get("price", "")
        )
        meter = price and (price["recurring"] or {}).get("meter")
        if price and meter:
            span_s = (line["period"]["start"], line["period"]["end"])
            usage = counted(book, book.find("meters", meter), invoice["customer"], span_s=span_s)
            # A period below zero is billed as zero; what is below is lost.
            total = max(Decimal(0), total_of(book.find("meters", meter), usage))
            _price_line(line, price, total)
    add_up(invoice)
    return invoice


def add_up(invoice: Obj, *, credit_minor: int = 0) -> None:
    """Total an invoice's lines, less the credit applied."""
    subtotal = sum(line["amount"] for line in invoice["lines"]["data"])
    total = subtotal - credit_minor
    invoice |= {
        "subtotal": subtotal, "subtotal_excluding_tax": subtotal, "total": total,
        "total_excluding_tax": total, "amount_due": max(0, total),
        "amount_remaining": max(0, total) - invoice["amount_paid"],
    }  # fmt: skip


def _line(book: Book, invoice: Obj, price: Obj | None, *, parent: Obj, period_s: tuple[int, int]) -> Obj:
    pricing = price and {
        "type": "price_details",
        "price_details": {"price": price["id"], "product": price["product"]},
        "unit_amount_decimal": price["unit_amount_decimal"],
    }
    return {
        "id": make_id("il"), "object": "line_item", "amount": 0, "currency": invoice["currency"],
        "description": None, "discount_amounts": [], "discountable": True, "discounts": [],
        "invoice": invoice["id"], "livemode": book.livemode, "metadata": {}, "parent": parent,
        "period": {"start": period_s[0], "end": period_s[1]}, "pretax_credit_amounts": [],
        "pricing": pricing, "quantity": 0, "quantity_decimal": "0", "subtotal": 0, "taxes": [],
    }  # fmt: skip


def _price_line(line: Obj, price: Obj, quantity: Decimal) -> None:
    billed = quantity
    transform = price["transform_quantity"]
    if transform:
        rounding = ROUND_CEILING if transform["round"] == "up" else ROUND_FLOOR
        billed = (quantity / transform["divide_by"]).quantize(Decimal(1), rounding)
    amount = (billed * Decimal(price["unit_amount_decimal"])).quantize(Decimal(1), ROUND_HALF_UP)
    line |= {
        "quantity": int(quantity), "quantity_decimal": plain_digits(quantity), "amount": int(amount),
        "subtotal": int(amount), "description": f"{plain_digits(quantity)} x {price['product']}",
    }  # fmt: skip
