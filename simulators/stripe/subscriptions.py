"""Subscriptions: items with their periods, an invoice at each edge, and their end."""

from __future__ import annotations

from simulators.stripe.customers import find_customer
from simulators.stripe.events import emit
from simulators.stripe.forms import as_bool, as_int, as_list, as_mapping
from simulators.stripe.invoices import draw_up, publish_draft
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.periods import anchor_from, period_after
from simulators.stripe.refusals import invalid, no_value
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, World, make_id

_PATH = "/v1/subscriptions"
_STATUSES = frozenset({"active", "past_due", "unpaid", "incomplete", "paused", "trialing"})
_CHANGES = (
    "automatic_tax cancel_at_period_end collection_method days_until_due default_payment_method "
    "description items metadata off_session payment_behavior payment_settings proration_behavior"
)
_NEW = _CHANGES + " billing_cycle_anchor billing_cycle_anchor_config billing_mode currency customer"


def start(world: World, book: Book, *, customer: str, items: list[Obj], options: Obj) -> Obj:
    """Begin a subscription; its first invoice is finalized at once."""
    now_s = world.clock.second()
    prices = [book.find("prices", each.get("price"), param="items[0][price]") for each in items]
    _refuse_mixed(prices)
    anchor_s = _read_anchor(options, now_s)
    name = make_id("sub")
    subscription: Obj = {
        "id": name, "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": anchor_s,
        "billing_cycle_anchor_config": _shown_config(options),
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}},
        "billing_schedules": [], "billing_thresholds": None, "cancel_at": None,
        "cancel_at_period_end": as_bool(options.get("cancel_at_period_end", "false"), "cancel_at_period_end"),
        "canceled_at": None, "collection_method": options.get("collection_method", "charge_automatically"),
        "created": now_s, "currency": prices[0]["currency"], "customer": customer,
        "days_until_due": None, "default_payment_method": options.get("default_payment_method"),
        "description": options.get("description"), "discounts": [], "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list", "data": [], "has_more": False,
            "url": f"/v1/subscription_items?subscription={name}",
        },
        "latest_invoice": None, "livemode": book.livemode, "metadata": options.get("metadata") or {},
        "start_date": now_s, "status": "active", "test_clock": None, "trial_end": None,
    }  # fmt: skip
    end_s = period_after(anchor_s, prices[0]["recurring"], now_s)
    for each, price in zip(items, prices, strict=True):
        _add_item(book, subscription, price, each, period_s=(now_s, end_s))
    book.put("subscriptions", subscription)
    emit(world, book, "customer.subscription.created", subscription)
    invoice = draw_up(world, book, subscription, reason="subscription_create", period_s=(now_s, now_s))
    publish_draft(world, book, invoice, draft_s=None)
    subscription["latest_invoice"] = invoice["id"]
    _schedule(world, book, subscription, end_s)
    return subscription


def turn(world: World, book: Book, subscription: Obj, edge_s: int) -> None:
    """Pass a period's edge: invoice what was used, then go on or, if so told, end."""
    lead = subscription["items"]["data"][0]
    if subscription["status"] == "canceled" or lead["current_period_end"] != edge_s:
        return
    period_s = (lead["current_period_start"], edge_s)
    if subscription["cancel_at_period_end"]:
        subscription |= {"status": "canceled", "ended_at": edge_s, "canceled_at": edge_s}
    else:
        end_s = period_after(subscription["billing_cycle_anchor"], lead["price"]["recurring"], edge_s)
        for item in subscription["items"]["data"]:
            item |= {"current_period_start": edge_s, "current_period_end": end_s}
        _schedule(world, book, subscription, end_s)
    invoice = draw_up(world, book, subscription, reason="subscription_cycle", period_s=period_s)
    publish_draft(world, book, invoice, draft_s=world.knobs.draft_s)
    subscription["latest_invoice"] = invoice["id"]
    verb = "deleted" if subscription["status"] == "canceled" else "updated"
    emit(world, book, f"customer.subscription.{verb}", subscription)


def become(world: World, book: Book, subscription: Obj, *, status: str) -> Obj:
    """Put a subscription where failed payments, or the paying of them, would have brought it."""
    if status not in _STATUSES or subscription["status"] == "canceled":
        raise invalid(f"A subscription that is {subscription['status']} cannot become {status}.")
    subscription["status"] = status
    emit(world, book, "customer.subscription.updated", subscription)
    return subscription


@route("POST", _PATH, permission="subscription_write", takes=_NEW)
def create_subscription(call: Call) -> Obj:
    """Subscribe a customer to prices."""
    customer = find_customer(call, call.need("customer"))
    items = as_list(call.need("items"), "items")
    if not items or not all(isinstance(each, dict) and each.get("price") for each in items):
        raise no_value("items[0][price]")
    options = call.params | {"metadata": merge_metadata(call)}
    return start(call.world, call.book, customer=customer["id"], items=items, options=options)


@route(
    "GET",
    _PATH,
    permission="subscription_read",
    takes=f"{PAGING} created customer price status collection_method",
)
def list_subscriptions(call: Call) -> Obj:
    """List the subscriptions; canceled ones only when asked for."""
    records = matching(call, call.book.all("subscriptions"), "customer", "collection_method")
    status, price = call.get("status"), call.get("price")
    if status is None:
        records = [each for each in records if each["status"] != "canceled"]
    elif status != "all":
        wanted = "canceled" if status == "ended" else status
        records = [each for each in records if each["status"] == wanted]
    if price is not None:
        records = [
            each for each in records if price in {item["price"]["id"] for item in each["items"]["data"]}
        ]
    return page(call, records)


@route("GET", _PATH + "/{id}", permission="subscription_read")
def retrieve_subscription(call: Call) -> Obj:
    """Show a subscription."""
    return call.book.find("subscriptions", call.names["id"])


@route("POST", _PATH + "/{id}", permission="subscription_write", takes=_CHANGES + " billing_cycle_anchor")
def update_subscription(call: Call) -> Obj:
    """Change a subscription; `billing_cycle_anchor=now` ends its period here."""
    subscription = _living(call)
    subscription["metadata"] = merge_metadata(call, subscription["metadata"])
    for name in ("collection_method", "description", "default_payment_method"):
        subscription[name] = call.get(name, subscription[name])
    if call.get("cancel_at_period_end") is not None:
        ending = as_bool(call.get("cancel_at_period_end"), "cancel_at_period_end")
        end_s = subscription["items"]["data"][0]["current_period_end"]
        subscription |= {"cancel_at_period_end": ending, "cancel_at": end_s if ending else None}
    for each in as_list(call.get("items"), "items"):
        _change_item(call, subscription, each)
    anchor = call.get("billing_cycle_anchor")
    if anchor == "now" or (isinstance(anchor, dict) and anchor.get("type") == "now"):
        for item in subscription["items"]["data"]:
            item["current_period_end"] = call.now
        subscription["billing_cycle_anchor"] = call.now
        turn(call.world, call.book, subscription, call.now)
    emit(call.world, call.book, "customer.subscription.updated", subscription)
    return subscription


@route(
    "DELETE",
    _PATH + "/{id}",
    permission="subscription_write",
    takes="cancellation_details invoice_now prorate",
)
def cancel_subscription(call: Call) -> Obj:
    """End a subscription now; what was used since the last edge is billed only with `invoice_now`."""
    subscription = _living(call)
    lead = subscription["items"]["data"][0]
    subscription |= {"status": "canceled", "canceled_at": call.now, "ended_at": call.now}
    if as_bool(call.get("invoice_now", "false"), "invoice_now"):
        period_s = (lead["current_period_start"], call.now)
        invoice = draw_up(
            call.world, call.book, subscription, reason="subscription_update", period_s=period_s
        )
        publish_draft(call.world, call.book, invoice, draft_s=call.world.knobs.draft_s)
        subscription["latest_invoice"] = invoice["id"]
    emit(call.world, call.book, "customer.subscription.deleted", subscription)
    return subscription


@route("GET", "/v1/subscription_items", permission="subscription_read", takes=f"{PAGING} subscription")
def list_items(call: Call) -> Obj:
    """List a subscription's items."""
    subscription = call.book.find("subscriptions", call.need("subscription"), param="subscription")
    return page(call, subscription["items"]["data"])


@route("GET", "/v1/subscription_items/{id}", permission="subscription_read")
def retrieve_item(call: Call) -> Obj:
    """Show an item."""
    return call.book.find("subscription_items", call.names["id"])


@route(
    "POST", "/v1/subscription_items", permission="subscription_write",
    takes="subscription price quantity metadata proration_behavior payment_behavior",
)  # fmt: skip
def create_item(call: Call) -> Obj:
    """Add an item to a subscription, for the period that runs."""
    subscription = call.book.find("subscriptions", call.need("subscription"), param="subscription")
    wanted = call.params | {"metadata": merge_metadata(call)}
    item = _join(call, subscription, wanted)
    emit(call.world, call.book, "customer.subscription.updated", subscription)
    return item


def _join(call: Call, subscription: Obj, wanted: Obj) -> Obj:
    price = call.book.find("prices", wanted.get("price"), param="price")
    present = [each["price"] for each in subscription["items"]["data"]]
    _refuse_mixed([*present, price])
    lead = subscription["items"]["data"][0]
    period_s = (lead["current_period_start"], lead["current_period_end"])
    return _add_item(call.book, subscription, price, wanted, period_s=period_s)


def _change_item(call: Call, subscription: Obj, wanted: Obj) -> None:
    if "id" not in wanted:
        _join(call, subscription, wanted)
        return
    item = call.book.find("subscription_items", wanted["id"], param="items[0][id]")
    if as_bool(wanted.get("deleted", "false"), "items[0][deleted]"):
        if len(subscription["items"]["data"]) == 1:
            raise invalid("A subscription must have at least one item.", param="items")
        subscription["items"]["data"].remove(item)
    elif "price" in wanted:
        item["price"] = call.book.find("prices", wanted["price"], param="items[0][price]")


def _add_item(book: Book, subscription: Obj, price: Obj, wanted: Obj, *, period_s: tuple[int, int]) -> Obj:
    item: Obj = {
        "id": make_id("si"), "object": "subscription_item", "billing_thresholds": None,
        "created": period_s[0], "current_period_start": period_s[0], "current_period_end": period_s[1],
        "discounts": [], "metadata": wanted.get("metadata") or {}, "price": price,
        "subscription": subscription["id"], "tax_rates": [],
    }  # fmt: skip
    if price["recurring"]["usage_type"] == "licensed":
        item["quantity"] = as_int(wanted.get("quantity", 1), "items[0][quantity]")
    elif wanted.get("quantity") is not None:
        raise invalid("You cannot set a quantity for a metered price.", param="items[0][quantity]")
    subscription["items"]["data"].append(item)
    return book.put("subscription_items", item)


def _refuse_mixed(prices: list[Obj]) -> None:
    if any(each["recurring"] is None for each in prices):
        raise invalid("The price must be recurring.", param="items[0][price]")
    if any(not each["active"] for each in prices):
        raise invalid("The price specified is inactive.", param="items[0][price]")
    if len({each["currency"] for each in prices}) > 1:
        raise invalid("All prices on a subscription must have the same currency.", param="items")
    rhythms = {(each["recurring"]["interval"], each["recurring"]["interval_count"]) for each in prices}
    if len(rhythms) > 1:
        raise invalid("The simulator wants the same interval for all items.", param="items")


def _read_anchor(options: Obj, now_s: int) -> int:
    config = as_mapping(options.get("billing_cycle_anchor_config"), "billing_cycle_anchor_config")
    if config:
        return anchor_from(config, now_s)
    anchor_s = as_int(options.get("billing_cycle_anchor") or now_s, "billing_cycle_anchor")
    if anchor_s < now_s:
        raise invalid("billing_cycle_anchor must be in the future.", param="billing_cycle_anchor")
    return anchor_s


def _shown_config(options: Obj) -> Obj | None:
    config = as_mapping(options.get("billing_cycle_anchor_config"), "billing_cycle_anchor_config")
    names = ("day_of_month", "hour", "minute", "month", "second")
    shown = {name: as_int(config[name], name) if name in config else None for name in names}
    return shown if config else None


def _living(call: Call) -> Obj:
    subscription = call.book.find("subscriptions", call.names["id"])
    if subscription["status"] == "canceled":
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    return subscription


def _schedule(world: World, book: Book, subscription: Obj, edge_s: int) -> None:
    world.clock.at(edge_s, lambda: turn(world, book, subscription, edge_s))
