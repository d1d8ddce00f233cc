"""The page of a checkout session, for people: what it asks for, a button that pays, and the way back.

Only where the simulator was told to serve it (``--pay-here``): else a session names Stripe's own address.
"""

from __future__ import annotations

from html import escape

from simulators.stripe import checkout
from simulators.stripe.forms import read_form
from simulators.stripe.refusals import Refused
from simulators.stripe.store import Book, Obj, World

PREFIX = "/c/pay/"
_CARD = "pm_card_visa"
_DECLINED = "pm_card_chargeDeclined"
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Pay (simulated)</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"></head>
<body><main><h1>{title}</h1><p>Stripe is simulated on this machine: no card is asked for and nothing is paid.</p>
{rest}</main></body></html>
"""
_FORM = """<form method="post"><p><button name="payment_method" value="pm_card_visa">Pay</button>
<button name="payment_method" value="pm_card_chargeDeclined">Have the card declined</button></p></form>
<p><a href="{back}">Back without paying</a></p>"""


def serve(world: World, method: str, path: str, body: bytes) -> tuple[int, bytes, bytes]:
    """Answer a person: a status, header lines that end in CRLF, and a page; paid leads back with 303."""
    found = _find(world, path.removeprefix(PREFIX))
    if found is None:
        return _page(404, "There is no such payment", "")
    book, session = found
    if session["status"] != "open":
        return _page(410, f"This payment is {session['status']}", "")
    if method != "POST":
        return _page(200, _title(session), _FORM.format(back=escape(session["cancel_url"] or "")))
    chosen = read_form(body.decode("utf-8", "replace")).get("payment_method")
    try:
        checkout.pay(world, book, session, method=_CARD if chosen == _CARD else _DECLINED)
    except Refused as refusal:
        return _page(refusal.status, "This cannot be paid", f"<p>{escape(refusal.message)}</p>")
    if session["status"] == "open":
        rest = "<p>The card was declined.</p>" + _FORM.format(back=escape(session["cancel_url"] or ""))
        return _page(402, _title(session), rest)
    return 303, f"location: {session['success_url']}\r\n".encode("latin-1"), b""


def _find(world: World, name: str) -> tuple[Book, Obj] | None:
    for book in world.books.values():
        if name in book.tables["sessions"]:
            return book, book.tables["sessions"][name]
    return None


def _title(session: Obj) -> str:
    return f"Pay {session['amount_total'] / 100:.2f} {str(session['currency']).upper()}"


def _page(status: int, title: str, rest: str) -> tuple[int, bytes, bytes]:
    text = _PAGE.format(title=escape(title), rest=rest)
    return status, b"content-type: text/html; charset=utf-8\r\n", text.encode()
