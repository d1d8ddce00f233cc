"""Policy documents: what the proxy reads out of them."""

from __future__ import annotations

from enforcement.calls import Reply
from enforcement.open_holds import ShardMemory
from enforcement.policies import BudgetRef
from metering.windows import WindowSpec


def test_a_budget_says_how_its_time_is_cut() -> None:
    ref = BudgetRef("bud_x", "customer", "anniversary", "Asia/Kolkata", "charge", "clamp", anchor_day=17)
    assert ref.window == WindowSpec("anniversary", "Asia/Kolkata", 17)


def test_a_reply_of_another_epoch_teaches_nothing_about_this_one() -> None:
    memory = ShardMemory(7, epoch=2, seq=10, recorded=5)
    memory.note(Reply("ended", 99, 3, 98, 0, []))
    assert (memory.seq, memory.recorded) == (10, 5)
