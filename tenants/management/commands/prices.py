"""`manage.py prices`: show a price, compare a base book with what is in force, bring one in after review."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from metering.errors import BookUnreadable, UnpricedModel
from metering.money import format_usd
from metering.prices import Price
from tenants import providers
from tenants.actions.base_prices import import_base_prices
from tenants.actions.recording import Actor
from tenants.errors import TenantsError
from tenants.models import Tenant
from tenants.pricing.books import base_book, imported_prices, tenant_book
from tenants.pricing.margins import Loss, losses
from tenants.pricing.review import (
    Book,
    Change,
    InForce,
    changes,
    file_book,
    installed_book,
    to_import,
    upgrade_changes,
)
from tenants.projection import milliseconds
from tenants.publishing import publish_now

OPERATOR = Actor("operator", "manage.py", "Operator")


class Command(BaseCommand):
    """Show, compare and import base prices."""

    help = "Show a price; compare genai-prices' data with the prices in force; bring it in after review."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what each of the three takes."""
        kinds = parser.add_subparsers(dest="kind", required=True)
        show = kinds.add_parser("show", help="one model's price in force")
        show.add_argument("model", metavar="PROVIDER/MODEL")
        show.add_argument("--at", default="", help="an instant; now unless given")
        show.add_argument("--tenant", default="", metavar="ID", help="as it is for a tenant")
        show.add_argument("--mode", choices=("test", "live"), default="live")
        show.add_argument("--tier", default="", help="a service tier; the standard one unless given")
        for kind, text in (("diff", "what a book would change"), ("import", "put a book in force")):
            more = kinds.add_parser(kind, help=text)
            more.add_argument(
                "file", nargs="?", default="", help="genai-prices' data.json; the installed package if none"
            )
            more.add_argument(
                "--from", dest="start", default="", help="in force from this instant; now unless given"
            )
        more.add_argument("--yes", action="store_true", help="it was reviewed: bring it in")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do one of the three. Raises: CommandError with the reason."""
        try:
            if options["kind"] == "show":
                self._show(options)
            else:
                self._review(_book(options["file"]), _instant(options["start"]), options)
        except (TenantsError, BookUnreadable, UnpricedModel, OSError) as error:
            raise CommandError(str(error)) from error

    def _show(self, options: dict[str, Any]) -> None:
        provider, slash, model = options["model"].partition("/")
        if not slash:
            raise CommandError("name the model as PROVIDER/MODEL")
        at = _instant(options["at"])
        book = base_book()
        if options["tenant"]:
            tenant = Tenant.objects.filter(pk=options["tenant"]).first()
            if tenant is None:
                raise CommandError(f"there is no tenant {options['tenant']}")
            book = tenant_book(tenant, options["mode"])
        name = providers.canonical(provider)
        price = book.find(name, model, milliseconds(at), service_tier=options["tier"])
        for line in _described(price):
            self.stdout.write(line)

    def _review(self, book: Book, at: datetime, options: dict[str, Any]) -> None:
        in_force = InForce(imported_prices())
        found = [
            *changes(book, in_force, milliseconds(at)),
            *([] if options["file"] else upgrade_changes()),
        ]
        for line in _table(book, at, found):
            self.stdout.write(line)
        lost = list(losses(found, at))
        for loss in lost:
            self.stdout.write(_told(loss))
        if options["kind"] == "diff":
            return
        coming = sum(1 for _ in to_import(book, in_force, milliseconds(at)))
        if not coming:
            self.stdout.write("nothing to import")
            return
        if not options["yes"]:
            raise CommandError(
                f"{coming} models would change from {at.isoformat()} on, {len(lost)} charges lie below cost; "
                "once you have reviewed it, come again with --yes"
            )
        done = import_base_prices(book=book, from_at=at, actor=OPERATOR)
        is_published = publish_now(done.entries)
        self.stdout.write(
            f"{done.models} models imported as {book.name} by {done.prices} entries, "
            + ("published" if is_published else "the publisher is telling the proxies")
        )


def _book(file: str) -> Book:
    return file_book(Path(file).read_bytes()) if file else installed_book()


def _instant(text: str) -> datetime:
    if not text:
        return timezone.now()
    try:
        found = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00:00")
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"{text!r} is no instant; write 2026-01-31T00:00:00Z")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _described(price: Price) -> list[str]:
    lines = [
        f"{price.provider}/{price.model}",
        f"price id  {price.price_id}",
        f"source    {price.source or 'import'}",
    ]
    for bucket, rate in price.rates.items():
        lines.append(f"{bucket:<16}${format_usd(rate.nanousd_per_mtok)} per million tokens")
        lines += [
            f"{'':<16}${format_usd(dearer)} when the prompt is above {above} tokens"
            for above, dearer in rate.tiers
        ]
    lines += [f"{name:<16}${format_usd(each)} each" for name, each in price.extras_nanousd.items()]
    if price.per_request_nanousd:
        lines.append(f"{'request':<16}${format_usd(price.per_request_nanousd)} each")
    return lines


def _table(book: Book, at: datetime, found: list[Change]) -> list[str]:
    lines = [f"{book.name} against the prices in force at {at.isoformat(timespec='seconds')}"]
    for change in found:
        tier = f" ({change.service_tier})" if change.service_tier else ""
        name = f"{change.provider}/{change.model}{tier}"
        if change.new is None:
            lines.append(f"gone     {name}: keeps its price")
        elif change.old is None:
            rates = ", ".join(f"{what} ${format_usd(new or 0)}" for what, _, new in change.figures)
            lines.append(f"new      {name}: {rates}")
        else:
            lines += [f"changed  {name}: {what} {_step(old, new)}" for what, old, new in change.figures]
    counted = {kind: sum(line.startswith(kind) for line in lines) for kind in ("changed", "new  ", "gone")}
    return [
        *lines,
        f"{counted['changed']} figures changed, {counted['new  ']} new prices, {counted['gone']} gone",
    ]


def _step(old: int | None, new: int | None) -> str:
    told = " -> ".join("none" if each is None else f"${format_usd(each)}" for each in (old, new))
    if not old or new is None:
        return told
    permille = (new - old) * 1000 // old
    return f"{told} ({'+' if permille >= 0 else '-'}{abs(permille) // 10}.{abs(permille) % 10} %)"


def _told(loss: Loss) -> str:
    change = loss.change
    whose = f"customer {loss.customer}" if loss.customer else "customers without a markup of their own"
    since = "turns" if loss.is_new else "stays"
    return (
        f"MARGIN {since} negative: {loss.tenant} ({loss.mode}), {whose}: {change.provider}/{change.model} "
        f"{loss.bucket} is charged ${format_usd(loss.charge_nanousd)} and "
        f"would cost ${format_usd(loss.cost_nanousd)} per million"
    )
