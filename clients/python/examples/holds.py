"""Hold money for a call that Farebox does not send, settle it; a budget that has no room refuses."""

from __future__ import annotations

from decimal import Decimal

from farebox import BudgetExceeded, Farebox


def run(client: Farebox) -> None:
    """Hold money for a call that Farebox does not send, settle it; a budget that has no room refuses."""
    customer = client.customers.create(external_id="examples-holds")
    client.budgets.create(customer=customer.id, window="total", limit_usd="1.00")
    client.prices.put("openai", "sim-batch", input_usd_per_mtok="1", output_usd_per_mtok="2")
    payer, account, model = customer.id, "sim", "sim-batch"
    hold = client.holds.create(
        customer=payer,
        account=account,
        model=model,
        input_tokens_max=100_000,
        output_tokens_max=50_000,
        ttl_seconds=60,
    )
    print(
        "held", hold.held_cost_usd, "until", hold.deadline, "open:", [each.id for each in client.holds.list()]
    )
    client.holds.extend(hold.id, ttl_seconds=120)
    done = client.holds.settle(hold.id, usage={"input": 80_000, "output": 10_000})
    print(done.outcome, done.cost_usd)
    assert done.cost_usd == Decimal("0.10")
    spare = client.holds.create(
        customer=payer,
        account=account,
        model=model,
        body={"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9},
    )
    print(client.holds.release(spare.id).outcome)
    try:
        client.holds.create(
            customer=payer, account=account, model=model, input_tokens_max=5_000_000, output_tokens_max=0
        )
    except BudgetExceeded as refused:
        print(refused.code, refused.numbers["left_usd"], "left of", refused.numbers["limit_usd"])
    else:
        raise AssertionError("there was no room for it")
