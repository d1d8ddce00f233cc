"""Ends that came after Redis had forgotten their hold: booked from the dead-letter stream, never twice.

A hold ends once. Nothing booked for it yet: the end is booked as it came. Only its expiry is booked: the end corrects
that by the difference. Any certain end is booked: this one is noted and changes nothing. Each leaves a dead letter,
because ``spent`` in Redis did not move with it: the budgets it drew on are repaired from the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from billing.ledger.books import HoldRow
from billing.ledger.rows import Fault, Flat, Reading, values_of_flat
from metering.ids import make_event_id

# Apart from the numbers Redis gives to a hold's corrections (0, 1, ...): it no longer knows of this one.
LATE_CORRECTION_NO = 1000


def settle_late(reading: Reading, booked: Sequence[HoldRow], shard: int) -> Reading:
    """Decide what a late end books, given the rows its hold has; the fault says what was done."""
    flat = reading.flat
    if flat is None or reading.values is None:
        return reading
    if not booked:
        return replace(reading, fault=Fault("late_end", "booked as it came; Redis did not count it"))
    expired = booked[0]
    if len(booked) > 1 or expired.kind != "expired":
        ends = ", ".join(row.event_id for row in booked)
        return replace(reading, values=None, fault=Fault("late_end_known", f"already booked: {ends}"))
    correction = _correction(flat, expired)
    detail = f"corrected {expired.event_id}; Redis did not count it"
    told = reading.values[len(values_of_flat(flat, shard)) :]
    return replace(
        reading,
        flat=correction,
        values=values_of_flat(correction, shard) + told,
        fault=Fault("late_end", detail),
    )


def _correction(flat: Flat, expired: HoldRow) -> Flat:
    return replace(
        flat,
        event_id=make_event_id(flat.hold_id, "correction", LATE_CORRECTION_NO),
        kind="correction",
        corrects=expired.event_id,
        cost_nanousd=flat.cost_nanousd - expired.cost_nanousd,
        charge_nanousd=flat.charge_nanousd - expired.charge_nanousd,
        draws=tuple((draw[0], draw[1], draw[2]) for draw in expired.draws),
    )
