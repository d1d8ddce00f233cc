"""The month lived through: an hour after the other on Stripe's simulated clock, with all that goes wrong."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis
from django.utils import timezone

from billing.errors import StripeFailed
from billing.ledger.recorder import Recorder
from billing.models import CustomerMap, ExchangeRate, PeriodInvoice, Push, StripeConnection, StripeMeter
from billing.pushing.dispatching import sendable
from billing.pushing.releasing import reject, release_ready
from billing.pushing.sealing import seal_all
from billing.stripe import events
from billing.stripe.catalog import MeterTerms, set_up_meter, subscribe
from billing.stripe.connecting import recheck
from billing.stripe.gateway import API_VERSION
from billing.stripe.invoices import poll_invoices
from billing.stripe.keys import gateway_of, parse_key, seal_key
from billing.stripe.mapping import map_customer
from billing.stripe.reconciling import Reconciled, reconcile_connection
from enforcement.keys import shard_key, usage_key
from metering.ids import shard_of
from metering.prices import make_price
from metering.rates import Price
from tenants.actions import customers, prices, tenants
from tenants.models import Customer, Tenant
from tests.billing.conftest import Streams
from tests.factories import ACTOR
from tests.month.plan import CURRENCIES, DAY, HOUR, RATES, Plan
from tests.month.workers import Workers
from tests.simulators.stripe.conftest import Stripe

EVENTS = r"^/v2/billing/meter_events$"
KEY = "rk_test_sim"
STEP_SECONDS_MAX = 60.0
# What Stripe does now and then: kind, how often at once, and whether the event is taken in all the same.
TROUBLE: tuple[dict[str, Any], ...] = (
    {"kind": "rate_limited", "times": 3, "reason": "global-rate"},
    {"kind": "rate_limited", "times": 2, "reason": "resource-specific"},
    {"kind": "error_500", "times": 2},
    {"kind": "error_500", "times": 1, "execute": True},
    {"kind": "drop", "times": 3},
    {"kind": "drop", "times": 2},
    {"kind": "html_502", "times": 1, "execute": True},
    {"kind": "conflict_409", "times": 1},
    {"kind": "async_reject", "times": 1, "code": "meter_event_invalid_value"},
)
OUTAGE: dict[str, Any] = {"kind": "unavailable_503", "times": 0}
REPORT = "v1.billing.meter.error_report_triggered"


@dataclass
class Course:
    """Everything that is moved through the month, and counts of what happened."""

    plan: Plan
    stripe: Stripe
    client: redis.Redis
    recorder: Recorder
    plant: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    reconciled: Reconciled = field(default_factory=Reconciled)

    def run(self) -> None:
        """Set up, live through the month and three days, and let everything come to rest."""
        plan = self.plan
        self.stripe.sim("clock", now=plan.start.timestamp(), frozen=True)
        self._set_up()
        with self._pushers() as self.workers:
            now = plan.start
            step = plan.size.step_hours * HOUR
            while now < plan.end:
                now += step
                if now >= plan.end:
                    # Stripe is away around the edge: drafts are held until what they bill has arrived.
                    self.stripe.sim("faults", path=EVENTS, **OUTAGE)
                self._step(now - step, now, is_calm=now >= plan.end, is_away=now >= plan.end)
            self._turn_of_the_month()
            for _ in range(6):
                now += 12 * HOUR
                self._step(now - 12 * HOUR, now, is_calm=True)
                poll_invoices(now)

    @contextmanager
    def _pushers(self) -> Iterator[Workers]:
        workers = Workers(2, plant=self.plant)
        workers.start()
        try:
            yield workers
        finally:
            self.counts["workers killed"] = workers.killed
            workers.stop()

    # -- before it begins ------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        plan = self.plan
        self.tenant: Tenant = tenants.create_tenant(name="Acme").row
        self.streams = Streams(self.client)
        self.streams.open(self.tenant.pk)
        connection = StripeConnection(tenant=self.tenant, mode="test", api_version=API_VERSION, status="ok")
        seal_key(connection, parse_key(KEY, mode="test"))
        connection.save()
        self.meters: dict[str, StripeMeter] = {
            currency: set_up_meter(
                connection=connection, actor=ACTOR, terms=MeterTerms(currency=currency)
            ).row
            for currency in CURRENCIES
        }
        for currency, rates in RATES.items():
            for day, rate_nano in rates.items():
                ExchangeRate.objects.create(
                    tenant=self.tenant, mode="test", currency=currency, day=plan.start.date().replace(day=day),
                    rate_nano=rate_nano,
                )  # fmt: skip
        self.customers: list[Customer] = [
            customers.upsert_customer(
                tenant=self.tenant, mode="test", actor=ACTOR, external_id=f"buyer-{buyer.number}", values={}
            ).row
            for buyer in plan.buyers
        ]
        self.prices = [
            (plan.start, self._price(plan.start, 1_000_000_000)),
            # Lowered in the middle of a day.
            (plan.start + 11 * DAY + 14 * HOUR, self._price(plan.start + 11 * DAY + 14 * HOUR, 640_000_000)),
        ]
        self.cus: dict[int, str] = {}
        self._map_due(plan.start)

    def _price(self, since: datetime, input_nanousd: int) -> Price:
        rates = {
            "input": input_nanousd, "output": input_nanousd * 4, "cache_read": input_nanousd // 10,
            "reasoning": input_nanousd * 4,
        }  # fmt: skip
        row = prices.put_price(
            tenant=self.tenant, mode="test", actor=ACTOR, name=("openai", "month-mini"),
            terms=prices.PriceTerms(rates=rates), from_at=since,
        ).row  # fmt: skip
        return make_price(row.pk, ("openai", "month-mini"), rates=rates, tiers={}, extras_nanousd={})

    @property
    def connection(self) -> StripeConnection:
        """The connection as it is now."""
        return StripeConnection.objects.select_related("tenant").get(tenant=self.tenant)

    def _map_due(self, now: datetime) -> None:
        """Say who is who, and subscribe, those whose day has come."""
        day = (now - self.plan.start).days + 1
        for buyer in self.plan.buyers:
            customer = self.customers[buyer.number]
            if buyer.mapped_on and buyer.mapped_on <= day and buyer.number not in self.cus:
                self.cus[buyer.number] = self.stripe.customer(name=customer.external_id)
                map_customer(
                    connection=self.connection, customer=customer, actor=ACTOR,
                    stripe_customer_id=self.cus[buyer.number],
                )  # fmt: skip
            mapping = CustomerMap.objects.filter(customer=customer, state="no_subscription").first()
            if mapping is not None and buyer.subscribed_on <= day:
                subscribe(mapping=mapping, meter=self.meters[buyer.currency], actor=ACTOR)

    # -- a step ----------------------------------------------------------------------------------------------------

    def _step(self, start: datetime, now: datetime, *, is_calm: bool = False, is_away: bool = False) -> None:
        random, day = self.plan.random, (now - self.plan.start).days + 1
        self.stripe.sim("clock", now=now.timestamp(), frozen=True)
        self._book(start, now)
        self._revoke_or_mend(day)
        if self.connection.status == "ok" and not is_calm:
            self._map_due(now)
        if not is_calm and random.random() < 0.7:
            trouble = random.choice(TROUBLE)
            self.counts[f"fault {trouble['kind']}"] += trouble["times"]
            self.stripe.sim("faults", path=EVENTS, **trouble)
        seal_all(now)
        release_ready(now)
        self._send(kill=not is_calm and random.random() < 0.5, wait=not is_away)
        is_night = start.date() != now.date() and (is_calm or day % self.plan.size.nights_apart == 0)
        if is_night and self.connection.status == "ok":
            self._night(now)

    def _book(self, start: datetime, now: datetime) -> None:
        names = [customer.pk for customer in self.customers]
        shard, seq = shard_of(self.tenant.pk), 0
        pipe = self.client.pipeline(transaction=False)
        entries = self.plan.booked_between(start, now, names=names, prices=self.prices)
        for batch, entry in enumerate(entries, start=1):
            seq = next(self.streams.seqs)
            whose = {"tenant_id": self.tenant.pk, "mode": "test", "epoch": self.streams.epoch, "seq": seq}
            pipe.xadd(usage_key(shard), entry.fields | whose)  # type: ignore[arg-type]  # bytes, text and numbers
            if batch % 2_000 == 0:
                pipe.execute()
        if seq:
            pipe.hset(shard_key(shard), mapping={"seq": seq, "last_event_seq": seq})
            pipe.execute()
            self.recorder.drain()
            self.client.xtrim(usage_key(shard), maxlen=1, approximate=False)

    def _revoke_or_mend(self, day: int) -> None:
        """Stripe takes the key no more for two days; then its owner makes it valid again."""
        is_revoked = day in (14, 15)
        if is_revoked != bool(self.counts["_revoked"]):
            self.stripe.sim("keys", key=KEY, status="revoked" if is_revoked else "active")
            self.counts["_revoked"] = int(is_revoked)
            if not is_revoked:
                recheck(connection=self.connection, actor=ACTOR)
                self.counts["days without a key"] += 2

    def _send(self, *, kill: bool, wait: bool = True) -> None:
        """Let everything that waits be due, and wait until the pushers have been through it."""
        past = timezone.now() - timedelta(minutes=1)
        Push.objects.filter(state__in=Push.SENDABLE).update(due_at=past)
        deadline = time.monotonic() + STEP_SECONDS_MAX
        if kill:
            time.sleep(self.plan.random.random() * 0.1)
            self.workers.kill_one(self.plan.random)
            # What it was sending is sent by another once its lease is over.
            Push.objects.filter(state=Push.State.INFLIGHT).update(due_at=past)
        if not wait:
            time.sleep(0.5)
        while wait and sendable().exists():
            assert time.monotonic() < deadline, "the pushers do not come to an end"
            time.sleep(0.01)

    def _night(self, now: datetime) -> None:
        """What beat does once a day, and what Stripe has reported meanwhile."""
        gateway = gateway_of(self.connection)
        for listed in events.thin_events(gateway, [REPORT], since=now - 2 * DAY):
            told = events.thin_event(gateway, listed.id)
            for kind in told.data["reason"]["error_types"]:
                for sample in kind["sample_errors"]:
                    self.counts["reported later"] += (
                        reject(sample["request"]["identifier"], kind["code"]) is not None
                    )
        self.reconciled.add(reconcile_connection(self.connection, now=now))

    # -- the period's edge -----------------------------------------------------------------------------------------

    def _turn_of_the_month(self) -> None:
        """Drafts come and become final; until two hours after the edge Stripe takes no events."""
        end = self.plan.end
        for minutes in (10, 50, 125, 130, 150, 200):
            now = end + timedelta(minutes=minutes)
            self.stripe.sim("clock", now=now.timestamp(), frozen=True)
            if minutes == 125:
                self.stripe.http.delete("/_sim/faults")
                self._send(kill=False)
            try:
                poll_invoices(now)
            except StripeFailed:
                self.counts["polls failed"] += 1
            drafts = PeriodInvoice.objects.filter(status="draft")
            self.counts["drafts held"] = max(
                self.counts["drafts held"], drafts.exclude(due_before=None).count()
            )
