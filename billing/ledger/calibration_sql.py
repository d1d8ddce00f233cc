"""The SQL that keeps calibration beside the books: how actual usage compares with what was bounded and held.

Shares of actual to bound are counted in log-spaced classes, per mille and rounded up, so that the last class is exactly
what lay above its bound. Only reported usage counts: an estimate says nothing about an estimate.
"""

# ruff: noqa: S608 - made of our own names only; values always travel beside the statement

from __future__ import annotations

from metering.usage import TOKEN_BUCKETS

# Class ``i`` holds shares up to and including ``EDGES_PERMILLE[i]``; the last one holds what is above the bound.
EDGES_PERMILLE = (1, 2, 4, 8, 16, 32, 63, 125, 250, 354, 500, 595, 707, 841, 1000)
CLASSES = len(EDGES_PERMILLE) + 1

_INPUT = [name for name in TOKEN_BUCKETS if name.startswith(("input", "cache", "audio_input", "image_input"))]
_OUTPUT = [name for name in TOKEN_BUCKETS if name not in _INPUT]
# What was compared: the measure, what it came to, and its bound.
MEASURES = (
    ("input", " + ".join(f"{name}_tokens" for name in _INPUT), "quoted_input_tokens"),
    ("output", " + ".join(f"{name}_tokens" for name in _OUTPUT), "output_cap"),
    ("cost", "cost_nanousd", "quote_cost_nanousd"),
)

KEY = ("tenant_id", "mode", "day", "provider", "model", "bound_class")
SUMS = (
    "calls", "input_bound_tokens", "input_tokens", "input_over", "output_cap_tokens", "output_tokens", "output_over",
    "held_nanousd", "cost_nanousd", "overruns",
)  # fmt: skip
SHARES = ("input_shares", "output_shares", "cost_shares")

# width_bucket counts the thresholds at or below a value, so each edge is moved up by one.
_THRESHOLDS = "ARRAY[" + ", ".join(str(edge + 1) for edge in EDGES_PERMILLE) + "]::bigint[]"


def _class_of(actual: str, bound: str) -> str:
    permille = f"(({actual}) * 1000 + {bound} - 1) / nullif({bound}, 0)"
    return f"width_bucket({permille}, {_THRESHOLDS})"


def _counted(column: str) -> str:
    counts = ", ".join(f"count(*) FILTER (WHERE {column} = {place})" for place in range(CLASSES))
    return f"ARRAY[{counts}]"


def _over(name: str) -> str:
    return f"count(*) FILTER (WHERE {name}_class = {CLASSES - 1})"


_EACH = ", ".join(
    f"{actual} AS {name}_actual, {bound} AS {name}_bound, {_class_of(actual, bound)} AS {name}_class"
    for name, actual, bound in MEASURES
)

# Rows of a table or query that has the ledger's columns, as calibration's columns, in the order of its key.
SELECT = (
    "SELECT tenant_id, mode, (started_at AT TIME ZONE 'UTC')::date AS day, provider, model, bound_class, count(*), "
    f"sum(input_bound), sum(input_actual), {_over('input')}, "
    f"sum(output_bound), sum(output_actual), {_over('output')}, "
    f"sum(cost_bound), sum(cost_actual), {_over('cost')}, "
    + ", ".join(_counted(f"{name}_class") for name, _, _ in MEASURES)
    + f" FROM (SELECT tenant_id, mode, started_at, provider, model, bound_class, {_EACH} FROM {{rows}} "
    "WHERE kind = 'settled' AND basis = 'reported') AS compared GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6"
)


def _added_shares(name: str) -> str:
    places = (f"calibration.{name}[{place}] + excluded.{name}[{place}]" for place in range(1, CLASSES + 1))
    return f"{name} = ARRAY[{', '.join(places)}]"


UPSERT = (
    f"INSERT INTO calibration ({', '.join((*KEY, *SUMS, *SHARES))}) {SELECT.format(rows='fresh')} "
    f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET "
    + ", ".join(
        (
            *(f"{name} = calibration.{name} + excluded.{name}" for name in SUMS),
            *(_added_shares(name) for name in SHARES),
        )
    )
)
