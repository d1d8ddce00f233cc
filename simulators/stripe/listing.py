"""Lists as Stripe pages them: newest first, by the id of the last object seen."""

from __future__ import annotations

from simulators.stripe.forms import as_int, as_mapping
from simulators.stripe.refusals import invalid, missing
from simulators.stripe.routes import Call
from simulators.stripe.store import Obj

_LIMIT_DEFAULT = 10
_LIMIT_MAX = 100


def page(call: Call, records: list[Obj]) -> Obj:
    """Cut one page out of records that are already in the order they are listed in."""
    count = page_size(call)
    kept = [each for each in records if _created_fits(call, each)]
    after, before = call.get("starting_after"), call.get("ending_before")
    if after is not None:
        kept = kept[_index(kept, after, "starting_after") + 1 :]
        cut, more = kept[:count], len(kept) > count
    elif before is not None:
        kept = kept[: _index(kept, before, "ending_before")]
        cut, more = kept[-count:], len(kept) > count
    else:
        cut, more = kept[:count], len(kept) > count
    return {"object": "list", "data": cut, "has_more": more, "url": call.path}


def page_size(call: Call) -> int:
    """Read how many objects a page may hold."""
    count = as_int(call.get("limit", _LIMIT_DEFAULT), "limit")
    if not 1 <= count <= _LIMIT_MAX:
        message = f"Invalid integer: {count}: limit must be between 1 and {_LIMIT_MAX}."
        raise invalid(message, param="limit").unsaved()
    return count


def matching(call: Call, records: list[Obj], *names: str) -> list[Obj]:
    """Keep the records whose fields equal the parameters of the same name."""
    wanted = {name: str(call.get(name)) for name in names if call.get(name) is not None}
    return [each for each in records if all(_text(each.get(name)) == value for name, value in wanted.items())]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _index(records: list[Obj], name: str, param: str) -> int:
    for number, each in enumerate(records):
        if each["id"] == name:
            return number
    raise missing("object", name, param=param)


def _created_fits(call: Call, record: Obj) -> bool:
    wanted = call.get("created")
    if wanted is None:
        return True
    created = record["created"]
    if not isinstance(wanted, dict):
        return bool(created == as_int(wanted, "created"))
    bounds = {name: as_int(value, "created") for name, value in as_mapping(wanted, "created").items()}
    return all(_within(created, name, bound) for name, bound in bounds.items())


def _within(created: int, comparison: str, bound: int) -> bool:
    match comparison:
        case "gt":
            return created > bound
        case "gte":
            return created >= bound
        case "lt":
            return created < bound
        case "lte":
            return created <= bound
        case _:
            raise invalid(f"Received unknown parameter: created[{comparison}]", param="created").unsaved()
