"""Whatever is sent to a route, and whatever a provider answers: never a 500, a hold left open, a call without a hold.

FAREBOX_FUZZ_EXAMPLES sets how many requests each route is sent (default 50).
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.routes import routes_to_prove
from tests.proxy.conftest import SIM_KEY, Proxy, Tenant, wait_for
from tests.proxy.echo import ANSWER, Echo
from tests.proxy.fuzz_seeds import CHAT, SEEDS

EXAMPLES = int(os.environ.get("FAREBOX_FUZZ_EXAMPLES", "50"))
ROUTES = [(method, path.replace("canary", "sim-mini")) for method, path in routes_to_prove()]


ODD = st.sampled_from((
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 1.5, 1e308, float("nan"), float("inf"),
    "", "a", "\x00", "\ud800", "é" * 300, "data:,", "data:image/png;base64,AAAA", "https://127.0.0.1/x", "../..",
    [], {}, [[]], [{}], {"": None}, {"type": "text"}, {"type": "nobody knows"}, "sim-mini", "main/sim-mini",
    "/", "main/", "gpt-4o", "auto", "priority",
))  # fmt: skip
VALUES = st.recursive(
    ODD | st.text(max_size=8) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
JUNK = st.sampled_from(
    (b"", b"{", b"[" * 5_000, b"\xff\xfe", b"null", b"[]", b'"x"', b"1" * 9_000, b"\xef\xbb\xbf{}")
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*path, name))


@st.composite
def bodies(draw: st.DrawFn, seed: dict[str, Any]) -> bytes:
    """A well-formed request with a few things wrong, or bytes that were never one."""
    document: Any = copy.deepcopy(seed)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(document))))
        if not path:
            document[draw(st.text(max_size=8))] = copy.deepcopy(draw(VALUES))
            continue
        holder = document
        for name in path[:-1]:
            holder = holder[name]
        if draw(st.booleans()):
            holder[path[-1]] = copy.deepcopy(draw(VALUES))
        else:
            del holder[path[-1]]
    body = json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 9)):
        case 0:
            return body[: draw(st.integers(0, len(body)))]
        case 1:
            return body[:-1] + b',"model":"sim-mini","max_tokens":1e99}'
        case 2:
            return draw(JUNK)
        case _:
            return body


ANSWERS = st.sampled_from((
    (b"200 OK", b"application/json", ANSWER),
    (b"200 OK", b"application/json", b""),
    (b"200 OK", b"application/json", b'{"usage":{"prompt_tokens":-5,"input_tokens":"x","total_tokens":1e400}}'),
    (b"200 OK", b"application/json", b'{"usage":[1],"output":7,"choices":[null],"content":[[]],"candidates":{}}'),
    (b"200 OK", b"application/json", b'{"usageMetadata":{"promptTokenCount":7},"model":[],"error":"x"}'),
    (b"200 OK", b"text/event-stream", b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'),
    (b"200 OK", b"text/event-stream", b'event: x\ndata: [1]\n\ndata: {"type":7,"usage":"u"}\n\n: \n\ndata: {\n\n'),
    (b"200 OK", b"text/html", b"<html>"),
    (b"204 No Content", b"text/plain", b""),
    (b"400 Bad Request", b"text/html", b"<html>"),
    (b"429 Too Many Requests", b"application/json", b'{"error":null}'),
    (b"500 Oh", b"application/octet-stream", b"\xff\x00"),
))  # fmt: skip


def seed_of(path: str) -> dict[str, Any]:
    return next((seed for part, seed in SEEDS if part in path), CHAT)


@pytest.fixture
def tenant(make_tenant: Callable[[], Tenant], echo: Echo) -> Tenant:
    tenant = make_tenant()
    root = echo.base_url.removesuffix("/v1")
    roots = {"openai": echo.base_url, "anthropic": root, "gemini": root}
    accounts = []
    for dialect, base_url in roots.items():
        account = tenant.account(
            "main" if dialect == "openai" else dialect, default=True, base_url=base_url, key=SIM_KEY
        )
        accounts.append(replaced(account, dialect=dialect))
    tenant.publish(accounts=tuple(accounts))
    return tenant


def replaced(struct: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(struct, **changes)


def holds_booked(tenant: Tenant) -> set[str]:
    entries = tenant.client.xrange(f"{{s{tenant.scope.shard}}}:usage")
    mine = tenant.tenant_id.encode()
    return {fields[b"hold_id"].decode() for _, fields in entries if fields[b"tenant_id"] == mine}


@pytest.mark.property
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_a_route_takes_anything(proxy: Proxy, tenant: Tenant, echo: Echo, method: str, path: str) -> None:
    budget = tenant.budget("9000.00")
    key = tenant.key(tenant.customer(budget))
    failed_before = proxy.metric('farebox_requests_total{code="internal_error"}')
    with httpx.Client(base_url=proxy.url, timeout=20.0) as client:

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(body=bodies(seed_of(path)), answer=ANSWERS, stream=st.booleans())
        def send(body: bytes, answer: tuple[bytes, bytes, bytes], stream: bool) -> None:
            echo.status, echo.kind, echo.pieces = answer[0], answer[1], [answer[2]] if answer[2] else []
            if stream:
                body = body.replace(b'"stream": false', b'"stream": true')
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
            said = client.request(method, path, content=body, headers=headers)
            ours = said.status_code == 500 and answer[0] != b"500 Oh"
            assert not ours, (body, answer, said.text)
            if said.status_code >= 400 and "farebox-quote-usd" not in said.headers:
                assert said.json(), said.text  # our own words, in the dialect's form

        send()
    assert proxy.metric('farebox_requests_total{code="internal_error"}') == failed_before
    sent = {
        found[1].decode()
        for head in echo.heads
        if (found := re.search(rb"(?i)x-client-request-id: (\S+)", head))
    }
    assert bool(sent) == (method == "POST")  # some of it was good enough to be sent
    assert len(sent) == len(echo.heads)  # nothing was sent without a hold
    wait_for(lambda: tenant.spent(budget)[1] == 0 or None)
    assert sent <= holds_booked(tenant)  # each has its row
