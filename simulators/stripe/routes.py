"""The table of endpoints, and one request on its way through them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.stripe.access import Key
from simulators.stripe.refusals import Refused, invalid, no_value
from simulators.stripe.store import Book, Obj, World

PAGING: Final = "limit starting_after ending_before"


@dataclass(slots=True)
class Call:
    """One request: whose it is, what it asks for, and what it holds on to until it is answered."""

    world: World
    book: Book
    key: Key
    method: str
    path: str
    request_id: str
    params: Obj = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    api_version: str = ""
    reject_code: str = ""
    locks: list[tuple[str, bool, str, str]] = field(default_factory=list)

    @property
    def v2(self) -> bool:
        """Say whether the request is of the v2 namespace."""
        return self.path.startswith("/v2/")

    @property
    def now(self) -> int:
        """Tell the simulated time in whole seconds."""
        return self.world.clock.second()

    def get(self, name: str, default: Any = None) -> Any:
        """Read a parameter; an empty text counts as absent."""
        value = self.params.get(name, default)
        return default if value == "" else value

    def need(self, name: str) -> Any:
        """Read a parameter that must be there."""
        value = self.get(name)
        if value is None:
            raise no_value(name)
        return value


Handler = Callable[[Call], Obj]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: its path, the permission it asks of restricted keys, and the parameters it takes."""

    method: str
    template: str
    pattern: re.Pattern[str]
    permission: str
    takes: frozenset[str]
    handler: Handler


ROUTES: list[Route] = []


def route(method: str, template: str, *, permission: str, takes: str = "") -> Callable[[Handler], Handler]:
    """Serve an endpoint with a function."""

    def register(handler: Handler) -> Handler:
        pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + "$")
        names = frozenset([*takes.split(), "expand"])
        ROUTES.append(Route(method, template, pattern, permission, names, handler))
        return handler

    return register


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Find the endpoint of a request, or refuse it."""
    best: tuple[Route, dict[str, str]] | None = None
    for each in ROUTES:
        matched = each.pattern.match(path) if each.method == method else None
        # A path that spells a word beats one that takes any id there.
        if matched is not None and (best is None or len(matched.groupdict()) < len(best[1])):
            best = (each, matched.groupdict())
    if best is None:
        message = f"Unrecognized request URL ({method}: {path}). The simulator does not have it."
        raise Refused(404, message).unsaved()
    return best


def refuse_unknown(found: Route, params: Obj) -> None:
    """Refuse parameters that the endpoint does not take."""
    unknown = [name for name in params if name not in found.takes]
    if unknown:
        listed = ", ".join(unknown)
        refusal = invalid(f"Received unknown parameter: {listed}", param=unknown[0], code="parameter_unknown")
        raise refusal.unsaved()
