"""Stripe's search language, as far as it is needed: clauses of equality joined with AND or OR."""

from __future__ import annotations

import re

from simulators.stripe.forms import as_int
from simulators.stripe.listing import page_size
from simulators.stripe.refusals import invalid
from simulators.stripe.routes import Call
from simulators.stripe.store import Obj

_CLAUSE = re.compile(
    r"""(?P<minus>-)?(?P<field>\w+)(?:\[(?P<quote>["'])(?P<key>.+?)(?P=quote)\])?\s*(?P<op>[:~])\s*"""
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>null|true|false|\d+))"""
)
_JOIN = re.compile(r"\s+(AND|OR)\s+|\s+")


def search(call: Call, records: list[Obj]) -> Obj:
    """Answer a search; what was made within the search's lag is not found yet."""
    clauses, all_of = _parse(str(call.need("query")))
    visible_s = call.world.clock.now() - call.world.knobs.search_lag_s
    join = all if all_of else any
    found = [
        each
        for each in records
        if each["created"] <= visible_s and join(_holds(each, clause) for clause in clauses)
    ]
    start = as_int(call.get("page", 0), "page")
    end = start + page_size(call)
    more = len(found) > end
    return {
        "object": "search_result", "data": found[start:end], "has_more": more,
        "next_page": str(end) if more else None, "url": call.path,
    }  # fmt: skip


def _parse(query: str) -> tuple[list[re.Match[str]], bool]:
    clauses: list[re.Match[str]] = []
    joins: set[str] = set()
    at = 0
    while at < len(query.rstrip()):
        if clauses:
            join = _JOIN.match(query, at)
            if join is None:
                raise _malformed(query)
            joins.add(join[1] or "AND")
            at = join.end()
        clause = _CLAUSE.match(query, at)
        if clause is None:
            raise _malformed(query)
        clauses.append(clause)
        at = clause.end()
    if not clauses or len(joins) > 1:
        raise _malformed(query)
    return clauses, joins != {"OR"}


def _holds(record: Obj, clause: re.Match[str]) -> bool:
    value = record.get(clause["field"])
    if clause["key"] is not None:
        value = value.get(clause["key"]) if isinstance(value, dict) else None
    return _equals(value, clause) != bool(clause["minus"])


def _equals(value: object, clause: re.Match[str]) -> bool:
    if clause["bare"] == "null":
        return value is None
    quoted = clause["double"] if clause["double"] is not None else clause["single"]
    wanted = clause["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if clause["op"] == "~":
        return value is not None and wanted.lower() in text.lower()
    return value is not None and text == wanted


def _malformed(query: str) -> Exception:
    return invalid(f"We were unable to parse your search query: {query}", param="query").unsaved()
