"""The simulator's own interface under /_sim: clock, knobs, faults, keys, truth, and what customers do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from simulators.stripe import checkout, payments, subscriptions, truth
from simulators.stripe.access import DEFAULT_ACCOUNT, Key
from simulators.stripe.knobs import read_fault
from simulators.stripe.pace import Pace
from simulators.stripe.refusals import Refused, invalid, missing
from simulators.stripe.sender import Sender
from simulators.stripe.store import Book, Obj, World
from simulators.stripe.webhooks import new_secret

_LOG_LAST = 1000
_STATUSES: Final = frozenset({"active", "expired", "revoked"})


class Control:
    """Carries out what a test asks of the simulator."""

    def __init__(self, world: World, pace: Pace) -> None:
        self._world = world
        self._pace = pace
        self._sender = Sender(world)
        self._actions: dict[tuple[str, str], Callable[[Obj], object]] = {
            ("POST", "reset"): self._reset,
            ("GET", "clock"): self._clock,
            ("POST", "clock"): self._clock,
            ("GET", "knobs"): lambda _: world.knobs.describe(),
            ("POST", "knobs"): self._set_knobs,
            ("GET", "faults"): lambda _: [each.kind for each in world.faults],
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): lambda _: world.faults.clear(),
            ("POST", "keys"): self._put_key,
            ("POST", "accounts"): self._connect,
            ("GET", "log"): self._log,
            ("DELETE", "log"): lambda _: world.log.clear(),
            ("GET", "truth"): lambda _: truth.describe(world),
            ("GET", "usage"): self._usage,
            ("GET", "deliveries"): lambda wanted: _equal(world.deliveries, wanted),
            ("POST", "checkout"): self._checkout,
            ("POST", "dispute"): self._dispute,
            ("POST", "subscription"): self._subscription,
            ("POST", "refund"): self._refund,
            ("POST", "webhooks/flush"): self._flush,
            ("POST", "webhooks/send"): self._send,
            ("POST", "webhooks/roll"): self._roll,
        }

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, object]:
        """Answer a control request."""
        path, _, query = target.removeprefix("/_sim").strip("/").partition("?")
        action = self._actions.get((method, path.strip("/")))
        if action is None:
            return 404, {"error": f"no {method} /_sim/{path}"}
        try:
            wanted = json.loads(body) if body else dict(parse_qsl(query))
            self._world.clock.run_due()
            told = action(wanted)
        except Refused as refusal:
            return refusal.status, {"error": refusal.message}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return 400, {"error": repr(error)}
        return 200, told

    def _reset(self, wanted: Obj) -> Obj:
        self._world.reset()
        self._pace.reset()
        return truth.describe(self._world)

    def _clock(self, wanted: Obj) -> Obj:
        if wanted:
            self._world.clock.move(
                to_s=wanted.get("now"), by_s=wanted.get("advance_s", 0.0), frozen=wanted.get("frozen")
            )
        done = self._world.clock.run_due()
        return {"now": self._world.clock.now(), "frozen": self._world.clock.frozen, "done": done}

    def _set_knobs(self, wanted: Obj) -> Obj:
        wrong = self._world.knobs.update(wanted)
        if wrong:
            raise invalid(f"No such knob, or not a value for it: {', '.join(wrong)}.")
        return self._world.knobs.describe()

    def _add_faults(self, wanted: Obj | list[Obj]) -> Obj:
        faults = [read_fault(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
        good = [each for each in faults if each is not None]
        if len(good) < len(faults):
            raise invalid("Not a fault.")
        self._world.faults += good
        return {"faults": len(self._world.faults)}

    def _put_key(self, wanted: Obj) -> Obj:
        status = wanted.get("status", "active")
        if status not in _STATUSES:
            raise invalid(f"A key is one of {', '.join(sorted(_STATUSES))}.")
        key = Key(wanted["key"], wanted.get("account", DEFAULT_ACCOUNT), wanted.get("scopes"), status)
        self._world.keys.add(key)
        return {"key": key.masked, "account": key.account, "fingerprint": key.fingerprint}

    def _connect(self, wanted: Obj) -> Obj:
        platform = wanted.get("platform", DEFAULT_ACCOUNT)
        if wanted.get("connected", True):
            self._world.keys.connected[wanted["account"]] = platform
        else:
            self._world.keys.connected.pop(wanted["account"], None)
        return dict(self._world.keys.connected)

    def _log(self, wanted: Obj) -> list[Obj]:
        last = int(wanted.pop("last", _LOG_LAST))
        return _equal(self._world.log, wanted)[-last:]

    def _usage(self, wanted: Obj) -> list[Obj]:
        return truth.usage_records(self._book(wanted), wanted)

    def _checkout(self, wanted: Obj) -> Obj:
        book, session = self._find("sessions", wanted["session"])
        match wanted.get("do", "pay"):
            case "pay":
                method = wanted.get("payment_method", "pm_card_visa")
                return checkout.pay(self._world, book, session, method=method)
            case "pay_later":
                return checkout.pay_later(self._world, book, session)
            case "arrive":
                method = wanted.get("payment_method", "pm_card_visa")
                return checkout.arrive(self._world, book, session, method=method)
            case "expire":
                return checkout.expire(self._world, book, session)
            case other:
                raise invalid(f"A session cannot {other}.")

    def _dispute(self, wanted: Obj) -> Obj:
        if "dispute" in wanted:
            book, dispute = self._find("disputes", wanted["dispute"])
            return payments.close_dispute(self._world, book, dispute, status=wanted["status"])
        name = wanted.get("charge")
        if name is None:
            name = self._find("payment_intents", wanted["payment_intent"])[1]["latest_charge"]
        book, charge = self._find("charges", name)
        reason = wanted.get("reason", "fraudulent")
        return payments.open_dispute(self._world, book, charge, reason=reason)

    def _subscription(self, wanted: Obj) -> Obj:
        book, subscription = self._find("subscriptions", wanted["subscription"])
        return subscriptions.become(self._world, book, subscription, status=wanted["status"])

    def _refund(self, wanted: Obj) -> Obj:
        book, refund = self._find("refunds", wanted["refund"])
        return payments.end_refund(self._world, book, refund, status=wanted["status"])

    def _flush(self, wanted: Obj) -> Obj:
        held, self._world.held = self._world.held, []
        self._world.knobs.webhooks_paused = bool(wanted.get("stay_paused", False))
        for book, endpoint, event in reversed(held) if wanted.get("reversed") else held:
            self._sender.deliver(book, endpoint, event, signing={})
        return {"sent": len(held)}

    def _send(self, wanted: Obj) -> Obj:
        found = [
            (book, event)
            for book in self._world.books.values()
            for event in (book.events.get(wanted["event"]), book.thin_events.get(wanted["event"]))
            if event is not None
        ]
        if not found:
            raise missing("event", wanted["event"])
        book, event = found[0]
        if event["object"] == "v2.core.event":
            event = {name: value for name, value in event.items() if name != "data"}
        owner, endpoint = self._endpoint(wanted["endpoint"])
        for _ in range(int(wanted.get("times", 1))):
            self._sender.deliver(owner, endpoint, event | wanted.get("changes", {}), signing=wanted)
        return {"account": book.account, "sent": int(wanted.get("times", 1))}

    def _roll(self, wanted: Obj) -> Obj:
        book, endpoint = self._endpoint(wanted["endpoint"])
        return {"secret": new_secret(book, endpoint["id"], keep_old=wanted.get("keep_old", True))}

    def _endpoint(self, name: str) -> tuple[Book, Obj]:
        return self._find("destinations" if name.startswith("ed_") else "endpoints", name)

    def _find(self, table: str, name: str) -> tuple[Book, Obj]:
        for book in self._world.books.values():
            if name in book.tables[table]:
                return book, book.tables[table][name]
        raise missing(table, name)

    def _book(self, wanted: Obj) -> Book:
        account = wanted.pop("account", DEFAULT_ACCOUNT)
        return self._world.book(account, livemode=wanted.pop("livemode", "false") in (True, "true"))


def _equal(records: list[Obj], wanted: Obj) -> list[Obj]:
    return [
        each for each in records if all(str(each.get(name)) == str(value) for name, value in wanted.items())
    ]
