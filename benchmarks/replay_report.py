"""What replaying recorded calls found, as figures and as a page."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.replay_truth import (
    booked_tokens,
    choices_of,
    contradicts,
    cost_of_row,
    kind_of,
    report_of,
    tokens_of,
    why_costs_differ,
    why_not_counted,
    without_usage_chunk,
)
from metering.model_families import family_of
from simulators.replay.rows import Row, answer_of, wire_of

BEGIN, END = "<!-- replay: begin -->", "<!-- replay: end -->"
OWN = frozenset({"openai", "azure"})
UNDER_PERCENT_MAX = 0.5


@dataclass
class Difference:
    """One thing that is not as the provider has it."""

    row: str
    what: str
    ours: Any
    theirs: Any


@dataclass
class Comparison:
    """What was compared so far."""

    rows: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    equal: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    listed: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    ratios: dict[tuple[str, str], list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, row: Row, status: int, body: bytes, ledger: dict[str, Any] | None) -> None:
        """Compare one row with what the gateway answered and booked."""
        self.rows[row["provider"]] += 1
        if status != 200 or ledger is None:
            self._refused(row, status, body)
            return
        self.outcomes[f"{ledger['basis']}/{ledger['end']}"] += 1
        self._bytes(row, body)
        if ledger["basis"] != "reported" and not any(tokens_of(row).values()):
            self.listed["basis: an answer was given and nothing is reported for it"].append(row["id"])
            return
        if ledger["basis"] != "reported":
            self.differences.append(Difference(row["id"], "basis", ledger["basis"], "reported"))
            return
        self._usage(row, ledger)
        self._cost(row, ledger)
        self._bound(row, ledger)

    def _refused(self, row: Row, status: int, body: bytes) -> None:
        code, part = refusal_in(body)
        part = "".join(letter for letter in part if not letter.isdigit()).replace("[]", "")
        self.outcomes[f"refused {status}"] += 1
        who = row["provider"] if row["provider"] in (*OWN, "anthropic") else "others"
        self.refused[f"{who}: {code}: {part}"] += 1
        if code == "unpriced_model":
            self.listed["refused: our base book has no price that covers all it bills"].append(
                [row["id"], row["provider"], row["model"]]
            )
        if part == "background":
            self.listed["refused: answers in the background are not served"].append(row["id"])
        elif code not in ("uncountable", "unpriced_model"):
            said = body[:200].decode(errors="replace")
            self.differences.append(Difference(row["id"], "refused", said, 200))

    def _bytes(self, row: Row, body: bytes) -> None:
        _, recorded = answer_of(row)
        if body == recorded:
            self.equal["bytes"] += 1
        elif body == without_usage_chunk(recorded):
            self.equal["bytes without the usage chunk"] += 1
        else:
            self.differences.append(Difference(row["id"], "bytes", len(body), len(recorded)))

    def _usage(self, row: Row, ledger: dict[str, Any]) -> None:
        ours, theirs = booked_tokens(ledger), tokens_of(row)
        if ours == theirs:
            self.equal["usage"] += 1
        elif set(row["usage_raw"]) == {"total_tokens"}:
            self.listed["usage: the recording's reader does not read a total alone"].append(row["id"])
        elif len(report_of(row).get("iterations") or ()) > 1:
            self.listed["usage: the recording's reader leaves out iterations"].append(
                [row["id"], ours, theirs]
            )
        elif contradicts(row):
            self.listed["usage: the report contradicts itself"].append([row["id"], ours, theirs])
        else:
            self.differences.append(Difference(row["id"], "usage", ours, theirs))

    def _cost(self, row: Row, ledger: dict[str, Any]) -> None:
        theirs = cost_of_row(row)
        if theirs is None:
            self.excluded["cost: impossible by genai-prices"] += 1
            return
        name = "cost at an override" if theirs.by_override else "cost"
        if abs(ledger["cost_nanousd"] - theirs.nanousd) <= 1:  # two ways of rounding one fraction
            self.equal[name] += 1
        elif why := why_costs_differ(row):
            self.listed[f"cost: {why}"].append([row["id"], ledger["cost_nanousd"], theirs.nanousd])
        else:
            self.differences.append(Difference(row["id"], name, ledger["cost_nanousd"], theirs.nanousd))
        # The recording was made under other caps: output beyond ours would not have been generated.
        made = tokens_of(row)["made"]
        cap_tokens = ledger["output_cap"] * choices_of(row)
        beyond_nanousd = theirs.output_nanousd * max(0, made - cap_tokens) // made if made else 0
        needed_nanousd = theirs.nanousd - beyond_nanousd
        if why_not_counted(row):
            return
        if ledger["quote_cost_nanousd"] >= needed_nanousd:
            self.equal["hold covers cost"] += 1
        else:
            held = Difference(row["id"], "hold below cost", ledger["quote_cost_nanousd"], needed_nanousd)
            self.differences.append(held)

    def _bound(self, row: Row, ledger: dict[str, Any]) -> None:
        why = why_not_counted(row)
        if why:
            self.excluded[f"bound: {why}"] += 1
            return
        ratio = ledger["quoted_input_tokens"] / row["usage"]["input_tokens"]
        self.ratios[family_name(row, ledger["bound_class"]), kind_of(row)].append((ratio, row["id"]))

    def report(self) -> dict[str, Any]:
        """All figures as one document."""
        kinds: dict[str, list[Difference]] = defaultdict(list)
        for difference in self.differences:
            kinds[difference.what].append(difference)
        return {
            "rows": dict(self.rows.most_common()),
            "rows_in_all": self.rows.total(),
            "outcomes": dict(self.outcomes.most_common()),
            "refused": dict(self.refused.most_common()),
            "excluded": dict(self.excluded.most_common()),
            "equal": dict(self.equal.most_common()),
            "listed": dict(self.listed),
            "differs": {
                name: {"rows": len(found), "first": [[one.row, one.ours, one.theirs] for one in found[:40]]}
                for name, found in kinds.items()
            },
            "bounds": {
                f"{family} / {kind}": figures(found) for (family, kind), found in sorted(self.ratios.items())
            },
            "openai_without_media": figures(self._openai(media=False)),
            "broken": self._broken(kinds),
        }

    def _broken(self, kinds: dict[str, list[Difference]]) -> list[str]:
        """What must not be: any difference that is not listed, and OpenAI's bounds too often under the usage."""
        under = figures(self._openai(media=False)).get("under_percent", 0.0)
        too_often = [f"{under} % of OpenAI's bounds under"] if under > UNDER_PERCENT_MAX else []
        return [*sorted(kinds), *too_often]

    def _openai(self, *, media: bool) -> list[tuple[float, str]]:
        return [
            one
            for (family, kind), found in self.ratios.items()
            for one in found
            if family.startswith("openai") and (kind == "media") == media
        ]


def refusal_in(body: bytes) -> tuple[str, str]:
    """The code of an error in any dialect, and the part of the request that it names."""
    try:
        error = json.loads(body)["error"]
        for detail in error.get("details") or ():  # Google's form
            if "reason" in detail:
                told = detail.get("metadata") or {}
                return str(detail["reason"]), str(told.get("param") or "")
        return str(error.get("code") or error.get("type")), str(error.get("param") or "")
    except (ValueError, KeyError, AttributeError, TypeError):
        return "no error document", body[:80].decode(errors="replace")


def family_name(row: Row, bound_class: str) -> str:
    """How a row's prompt was counted, for the table."""
    wire = wire_of(row)
    if wire.dialect != "openai":
        return f"{row['provider']} {'' if wire.dialect == 'anthropic' else wire.name} ({bound_class})"
    if wire.name != "chat":
        return f"{row['provider'] if row['provider'] in OWN else 'other'} {wire.name} ({bound_class})"
    if row["provider"] in OWN:
        return f"openai {family_of(row['model']).name} ({bound_class})"
    return f"other ({bound_class})"


def figures(found: list[tuple[float, str]]) -> dict[str, Any]:
    """Rows, how many exact and under, and the spread of bound by actual."""
    if not found:
        return {"rows": 0}
    ratios = sorted(ratio for ratio, _ in found)
    under = sorted(one for one in found if one[0] < 1)
    return {
        "rows": len(ratios),
        "exact_percent": round(100 * sum(ratio == 1 for ratio in ratios) / len(ratios), 1),
        "under_percent": round(100 * len(under) / len(ratios), 2),
        "p50": round(ratios[len(ratios) // 2], 2),
        "p90": round(ratios[len(ratios) * 9 // 10], 2),
        "max": round(ratios[-1], 2),
        "under": [[row_id, round(ratio, 4)] for ratio, row_id in under[:20]],
    }


def markdown(report: dict[str, Any]) -> str:
    """The same as tables."""
    lines = [
        "| family / feature | rows | exact % | under % | bound/actual p50 | p90 | max |",
        "|---|---|---|---|---|---|---|",
    ]
    bounds = {**report["bounds"], "**OpenAI without media**": report["openai_without_media"]}
    for name, one in bounds.items():
        if one["rows"]:
            cells = (one[each] for each in ("rows", "exact_percent", "under_percent", "p50", "p90", "max"))
            lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    lines += ["", "| compared | rows |", "|---|---|", f"| replayed | {report['rows_in_all']} |"]
    lines += [f"| equal: {name} | {number} |" for name, number in report["equal"].items()]
    lines += [f"| listed: {name} | {len(found)} |" for name, found in report["listed"].items()]
    lines += [f"| differs: {name} | {one['rows']} |" for name, one in report["differs"].items()]
    lines += [f"| outcome: {name} | {number} |" for name, number in report["outcomes"].items()]
    lines += [f"| refused: {name} | {number} |" for name, number in report["refused"].items()]
    lines += [f"| excluded: {name} | {number} |" for name, number in report["excluded"].items()]
    return "\n".join(lines) + "\n"


def write_page(page: Path, table: str) -> None:
    """Put the tables between the page's markers."""
    text = page.read_text() if page.exists() else f"# Replay of recorded calls\n\n{BEGIN}\n{END}\n"
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{table}{END}{tail}")
