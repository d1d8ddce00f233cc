"""Zero overspend, by the simulator's bill; and the same proof failing when the reserve is planted in two steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import overspend
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Two proxies on one Valkey."""
    with running_stack(proxies=2) as running:
        yield running


@pytest.mark.parametrize("latency_ms", [0, 1000])
def test_exactly_fifty_cents_are_spent(stack: Stack, latency_ms: int) -> None:
    report, broken = overspend.case_exact(stack, latency_ms)
    assert broken == []
    assert report["overspend_usd"] == "0.00"


def test_clamped_calls_stay_within_and_are_announced(stack: Stack) -> None:
    _, broken = overspend.case_clamp(stack, 0)
    assert broken == []


def test_broken_calls_are_booked_at_or_above_the_bill(stack: Stack) -> None:
    _, broken = overspend.case_faults(stack, 0)
    assert broken == []


def test_the_proof_fails_when_the_check_and_the_claim_are_two_steps() -> None:
    with running_stack(proxies=2, with_worker=False, proxy_app="benchmarks.planted:app") as planted:
        _, broken = overspend.case_exact(planted, 0)
    assert any("not 50" in claim for claim in broken)
