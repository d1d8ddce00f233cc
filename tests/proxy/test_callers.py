"""Callers found in policies that change, or are forgotten, while they are being read."""

from __future__ import annotations

import asyncio
import os
import secrets

from enforcement.keyring import make_key, parse_key
from enforcement.keys import Scope
from enforcement.policies import KeyPolicy, TenantPolicy, encode_policy
from enforcement.secrets import CredentialBox
from metering.ids import make_id
from proxy.callers import Callers
from proxy.clock import Clock
from proxy.metrics import Metrics

ACME = Scope(make_id("ten", 7), "test")
PARSED = parse_key(make_key("ck", "test", ACME.tenant_id, secrets.randbits(195)))


class Documents:
    """Policies as Redis has them; each read lets others run first."""

    def __init__(self, **documents: bytes) -> None:
        self.documents = documents
        self.meanwhile = lambda: None

    async def read_policies(self, policy_keys: tuple[str, ...]) -> tuple[tuple[int, bytes] | None, ...]:
        await asyncio.sleep(0)
        self.meanwhile()
        return tuple(
            (1, self.documents[name]) if (name := key.split(":")[4]) in self.documents else None
            for key in policy_keys
        )


def documents() -> Documents:
    key = KeyPolicy("key_1", ACME.tenant_id, "test", "customer")
    return Documents(key=encode_policy(key), tenant=encode_policy(TenantPolicy(ACME.tenant_id, "test")))


def callers(reader: Documents, *, policies_max: int = 100) -> Callers:
    return Callers(
        reader,
        box=CredentialBox(os.environ["FAREBOX_SECRET_KEYS"].split(",")),
        clock=Clock(),
        metrics=Metrics(),
        policies_max=policies_max,
    )


async def test_a_policy_forgotten_while_another_is_read_is_no_failure() -> None:
    assert PARSED is not None
    reader = documents()
    found = callers(reader)
    await found.find(PARSED, None)
    names = (ACME.key_policy(PARSED.digest), ACME.tenant_policy())
    found.forget(names[1:])
    reader.meanwhile = lambda: found.forget(names[:1])  # another request was told that it is stale
    assert (await found.find(PARSED, None)).key.key_id == "key_1"


async def test_a_full_memory_keeps_what_a_request_needs() -> None:
    assert PARSED is not None
    assert (await callers(documents(), policies_max=1).find(PARSED, None)).key.key_id == "key_1"
