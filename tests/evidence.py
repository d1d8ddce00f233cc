"""Our books beside the simulator's own bill: every upstream attempt has its rows once, and what they say is true."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Comparison:
    """What matching rows to the bill found."""

    broken: list[str] = field(default_factory=list)
    by_basis: dict[str, dict[str, int]] = field(default_factory=dict)

    def claim(self, holds: bool, text: str) -> None:  # reads as a sentence at the call
        """Note a claim that does not hold."""
        if not holds:
            self.broken.append(text)


def compare(rows: list[dict[str, Any]], bill: list[dict[str, Any]]) -> Comparison:
    """Match ledger rows to the simulator's records by hold id.

    A row without a record is allowed only where nothing was billed: an attempt that was marked dispatched and never
    arrived. Rows ``reported`` must equal the bill to the nano-dollar, ``estimated`` and ``unresolved`` never be below.
    """
    result = Comparison()
    holds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        holds[row["hold_id"]].append(row)
    records = {record["hold_id"]: record for record in bill}
    result.claim(len(records) == len(bill), f"{len(bill) - len(records)} upstream attempts were sent twice")
    for hold_id in sorted(set(records) - set(holds)):
        result.claim(holds=False, text=f"a call without a row: {records[hold_id]['model']} {hold_id}")
    sums: dict[str, dict[str, int]] = defaultdict(
        lambda: {"rows": 0, "cost_nanousd": 0, "above_bill_nanousd": 0}
    )
    for hold_id, its_rows in holds.items():
        firsts = [row for row in its_rows if row["kind"] != "correction"]
        result.claim(len(firsts) == 1, f"{hold_id} has {len(firsts)} rows")
        last = its_rows[-1] if its_rows[-1]["kind"] == "correction" else firsts[0]
        billed = records.get(hold_id, {"billed_nanousd": 0})["billed_nanousd"]
        cost = sum(row["cost_nanousd"] for row in its_rows)
        sums[last["basis"]]["rows"] += len(its_rows)
        sums[last["basis"]]["cost_nanousd"] += cost
        sums[last["basis"]]["above_bill_nanousd"] += cost - billed
        named = f"{last['model']} {last['kind']} {last['basis']} ({last['end']}): books {cost}, bill {billed}"
        result.claim(cost == billed if last["basis"] == "reported" else cost >= billed, named)
    result.by_basis = {basis: dict(figures) for basis, figures in sums.items()}
    return result
