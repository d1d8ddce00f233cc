"""Fresh opaque ids."""

from __future__ import annotations

import secrets

from metering.ids import make_id


def new_id(prefix: str) -> str:
    """Make a fresh id such as ``bud_8k3v0d2m5q7r1t9w``."""
    return make_id(prefix, secrets.randbits(80))


def new_request_id() -> str:
    """Make the id of a request to the control plane."""
    return new_id("req")


def new_tenant_id() -> str:
    """Make the id of a new tenant."""
    return new_id("ten")


def new_member_id() -> str:
    """Make the id of a new member."""
    return new_id("mem")


def new_key_id() -> str:
    """Make the id of a new key."""
    return new_id("key")


def new_budget_id() -> str:
    """Make the id of a new budget."""
    return new_id("bud")


def new_account_id() -> str:
    """Make the id of a new account."""
    return new_id("acc")


def new_price_id() -> str:
    """Make the id of a new price."""
    return new_id("pri")


def new_invitation_id() -> str:
    """Make the id of a new invitation."""
    return new_id("inv")


def new_stop_id() -> str:
    """Make the id of a new stop of a model."""
    return new_id("stp")
