"""Products and prices."""

from __future__ import annotations

import re
from decimal import Decimal

from simulators.stripe.events import emit
from simulators.stripe.forms import as_bool, as_int, as_list, as_mapping
from simulators.stripe.listing import matching, page
from simulators.stripe.metadata import change_texts, merge_metadata
from simulators.stripe.refusals import invalid, no_value
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.searching import search
from simulators.stripe.store import Obj, make_id

_DECIMAL = re.compile(r"^\d+(\.\d{1,12})?$")
_PRODUCT = "active description id images marketing_features metadata name shippable tax_code unit_label url"
_PRICE = (
    "active billing_scheme currency lookup_key metadata nickname product product_data recurring tax_behavior "
    "transfer_lookup_key transform_quantity unit_amount unit_amount_decimal"
)


@route("POST", "/v1/products", permission="product_write", takes=_PRODUCT + " statement_descriptor")
def create_product(call: Call) -> Obj:
    """Create a product."""
    return make_product(call, str(call.need("name")), name_id=call.get("id"))


def make_product(call: Call, name: str, *, name_id: str | None = None) -> Obj:
    """Put a product on the shelf."""
    if name_id is not None and name_id in call.book.tables["products"]:
        raise invalid(f"Product already exists with ID {name_id}.", code="resource_already_exists")
    product: Obj = {
        "id": name_id or make_id("prod"), "object": "product", "active": True, "created": call.now,
        "default_price": None, "description": call.get("description"), "images": [],
        "livemode": call.book.livemode, "marketing_features": [], "metadata": merge_metadata(call),
        "name": name, "package_dimensions": None, "shippable": None, "statement_descriptor": None,
        "tax_code": call.get("tax_code"), "type": "service", "unit_label": call.get("unit_label"),
        "updated": call.now, "url": call.get("url"),
    }  # fmt: skip
    emit(call.world, call.book, "product.created", product)
    return call.book.put("products", product)


@route("GET", "/v1/products", permission="product_read", takes=f"{PAGING} active created ids shippable url")
def list_products(call: Call) -> Obj:
    """List the products."""
    wanted = as_list(call.get("ids"), "ids")
    records = [each for each in call.book.all("products") if not wanted or each["id"] in wanted]
    return page(call, matching(call, records, "active"))


@route("GET", "/v1/products/{id}", permission="product_read")
def retrieve_product(call: Call) -> Obj:
    """Show a product."""
    return call.book.find("products", call.names["id"])


@route("POST", "/v1/products/{id}", permission="product_write", takes=_PRODUCT + " default_price")
def update_product(call: Call) -> Obj:
    """Change a product."""
    product = call.book.find("products", call.names["id"])
    product |= change_texts(call, "name", "description", "unit_label", "url", "default_price")
    product |= {"metadata": merge_metadata(call, product["metadata"]), "updated": call.now}
    if call.get("active") is not None:
        product["active"] = as_bool(call.get("active"), "active")
    return product


@route("POST", "/v1/prices", permission="plan_write", takes=_PRICE)
def create_price(call: Call) -> Obj:
    """Create a price; amounts are written out in digits, up to twelve decimals of the minor unit."""
    currency = str(call.need("currency")).lower()
    recurring = _read_recurring(call, as_mapping(call.get("recurring"), "recurring"))
    amount = _read_amount(call)
    if call.get("billing_scheme", "per_unit") != "per_unit":
        raise invalid("The simulator has no tiered prices.", param="billing_scheme")
    transform = as_mapping(call.get("transform_quantity"), "transform_quantity")
    if transform:
        transform = {
            "divide_by": as_int(transform.get("divide_by"), "transform_quantity[divide_by]"),
            "round": transform.get("round"),
        }
    lookup_key = call.get("lookup_key")
    if lookup_key and any(each["lookup_key"] == lookup_key for each in call.book.tables["prices"].values()):
        raise invalid(f"A price already uses that lookup key: {lookup_key}", param="lookup_key")
    price: Obj = {
        "id": make_id("price"), "object": "price", "active": True, "billing_scheme": "per_unit",
        "created": call.now, "currency": currency, "custom_unit_amount": None,
        "livemode": call.book.livemode, "lookup_key": lookup_key, "metadata": merge_metadata(call),
        "nickname": call.get("nickname"), "product": _product_of(call), "recurring": recurring,
        "tax_behavior": "unspecified", "tiers_mode": None, "transform_quantity": transform or None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": int(amount) if amount == int(amount) else None,
        "unit_amount_decimal": plain_digits(amount),
    }  # fmt: skip
    emit(call.world, call.book, "price.created", price)
    return call.book.put("prices", price)


@route(
    "GET", "/v1/prices",
    permission="plan_read", takes=f"{PAGING} active created currency lookup_keys product recurring type",
)  # fmt: skip
def list_prices(call: Call) -> Obj:
    """List the prices."""
    lookup = as_list(call.get("lookup_keys"), "lookup_keys")
    records = [each for each in call.book.all("prices") if not lookup or each["lookup_key"] in lookup]
    recurring = as_mapping(call.get("recurring"), "recurring")
    if recurring:
        records = [each for each in records if (each["recurring"] or {}).items() >= recurring.items()]
    return page(call, matching(call, records, "active", "currency", "product", "type"))


@route("GET", "/v1/prices/search", permission="plan_read", takes="query limit page")
def search_prices(call: Call) -> Obj:
    """Search the prices."""
    return search(call, call.book.all("prices"))


@route("GET", "/v1/prices/{id}", permission="plan_read")
def retrieve_price(call: Call) -> Obj:
    """Show a price."""
    return call.book.find("prices", call.names["id"])


@route(
    "POST", "/v1/prices/{id}",
    permission="plan_write", takes="active lookup_key metadata nickname tax_behavior transfer_lookup_key",
)  # fmt: skip
def update_price(call: Call) -> Obj:
    """Change what may change of a price; its amount may not."""
    price = call.book.find("prices", call.names["id"])
    price |= change_texts(call, "lookup_key", "nickname")
    price["metadata"] = merge_metadata(call, price["metadata"])
    if call.get("active") is not None:
        price["active"] = as_bool(call.get("active"), "active")
    return price


def plain_digits(amount: Decimal) -> str:
    """Write a decimal without exponent or trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read_amount(call: Call) -> Decimal:
    whole, exact = call.get("unit_amount"), call.get("unit_amount_decimal")
    if whole is not None and exact is not None:
        raise invalid("You may only specify one of unit_amount and unit_amount_decimal.").unsaved()
    if whole is not None:
        return Decimal(as_int(whole, "unit_amount"))
    if exact is None:
        raise no_value("unit_amount")
    # An exponent, as Python's str(Decimal) writes small numbers, is not a decimal here.
    if not _DECIMAL.match(str(exact)):
        message = f"Invalid decimal: {exact}; must be contained by 12 decimal places"
        raise invalid(message, param="unit_amount_decimal").unsaved()
    return Decimal(str(exact))


def _read_recurring(call: Call, given: Obj) -> Obj | None:
    if not given:
        return None
    interval = given.get("interval")
    if interval not in {"day", "week", "month", "year"}:
        raise invalid(f"Invalid recurring[interval]: {interval}", param="recurring[interval]").unsaved()
    usage_type, meter = given.get("usage_type", "licensed"), given.get("meter")
    if usage_type == "metered":
        if meter is None:
            message = "You must specify a meter for a price with usage_type metered."
            raise invalid(message, param="recurring[meter]")
        found = call.book.find("meters", meter, param="recurring[meter]")
        if found["status"] != "active":
            raise invalid("The meter is not active.", param="recurring[meter]")
    return {
        "interval": interval, "interval_count": as_int(given.get("interval_count", 1), "interval_count"),
        "meter": meter, "trial_period_days": None, "usage_type": usage_type,
    }  # fmt: skip


def _product_of(call: Call) -> str:
    named, data = call.get("product"), as_mapping(call.get("product_data"), "product_data")
    if named is not None:
        return str(call.book.find("products", named, param="product")["id"])
    if not data.get("name"):
        raise no_value("product")
    return str(make_product(call, data["name"])["id"])
