"""Write what is data on docs/providers.md and docs/routes.md, and all of docs/constants.md, from the data itself.

python docs/make_providers_page.py          write the pages
python docs/make_providers_page.py --check  fail when one is not what it would write

A made part stands between two marks, `<!-- made: name -->` and `<!-- end -->`; what is around them is written by hand.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from page_parts import COLUMNS, PARTS, cell  # noqa: E402  # found on the path set above

from proxy.unserved import UNSERVED  # noqa: E402

DOCS = ROOT / "docs"
DATA = ROOT / "metering" / "data"
CONSTANTS = """# Constants of empirical bounds

Made from `metering/data/empirical.toml` and `metering/data/chat_families.toml` by `docs/make_providers_page.py`; a test
compares them. None is published by a provider: each was read off recorded traffic and stands for a reason that would
hold for traffic nobody has seen. How they are used: [Providers](providers.md).
"""
BOUNDS = {
    "openai": "`exact` for text on documented framing, else `empirical`",
    "named": "`empirical` by its family, else `hard`",
    "unknown": "`hard`",
}
USAGE = {
    "when_asked": "when asked for",
    "last_chunk": "last chunk",
    "every_chunk": "every chunk",
    "x_groq": "`x_groq`",
    "timings": "`timings`",
}
HIDDEN = {"thinking": "thinking stands in the total alone", "prompt_audio": "sound stands in the total alone"}


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a table; a bar in a cell is escaped."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in lines]


def read(name: str) -> dict[str, dict[str, Any]]:
    """Read one of the data files."""
    return tomllib.loads((DATA / name).read_text())


def providers() -> list[str]:
    """One line for each provider: what an account of it speaks, and how its prompts are bounded."""
    rows = []
    for name, each in read("providers.toml").items():
        own = any(each["base_urls"].values())
        prices = "you" if each["prices"] == "tenant" else each["prices"]
        dialects = ", ".join(each["base_urls"])
        address = "known" if own else f"yours, `{each['base_url_example']}`"
        rows.append((f"`{name}`", each["title"], dialects, address, prices, BOUNDS[each["tokenizers"]]))
    return table(("name", "who", "dialects", "address", "prices", "a chat prompt's bound"), rows)


def peculiarities() -> list[str]:
    """One line for each provider: its output cap, its usage, and where that was read."""
    rows = []
    for name, each in read("providers.toml").items():
        usage = ", ".join(USAGE[kind] for kind in each["usage"])
        notes = [HIDDEN[each["total_beyond"]]] if each.get("total_beyond") else []
        if not each.get("takes_stream_options", True):
            notes.append("refuses `stream_options`")
        if each.get("cap_leaves_out"):
            notes.append("its cap leaves thinking out")
        billed = {"not_billed": "not billed", "ambiguous": "may be billed"}
        notes += [f"{status} is {billed[said]}" for status, said in each.get("verdicts", {}).items()]
        source = f"{each['source']}; {each['date']}"
        rows.append((f"`{name}`", f"`{each['cap_fields'][0]}`", usage, "; ".join(notes), source))
    return table(("name", "cap that we write", "usage in a stream", "peculiar", "read where, and when"), rows)


def parts() -> list[str]:
    """One line for each kind of part: what the code says that it adds to a prompt, by route and model."""
    rows = ([part, *(cell(column, part) or "-" for column in COLUMNS)] for part in PARTS)
    return table(("part", *(column.title for column in COLUMNS)), rows)


def unserved() -> list[str]:
    """One line for each group of routes that is not served."""
    rows = []
    for pattern, why in UNSERVED:
        reason, _, instead = why.partition("; ")
        rows.append((f"`{_readable(pattern.pattern)}`", reason, instead))
    return table(("route", "why not", "instead"), rows)


def _readable(pattern: str) -> str:
    return re.sub(r"\(\.\*/\)\?|\.\*", "…", pattern.removesuffix("$").replace("(/anthropic)?", ""))


def constants() -> str:
    """The whole page of constants."""
    lines = [CONSTANTS]
    for dialect, named in read("empirical.toml").items():
        rows = [
            (
                f"`{name}`",
                str(one["value"]),
                one["why"],
                f"{one['source']}: {one['sample']}",
                str(one["date"]),
            )
            for name, one in named.items()
        ]
        lines += [f"## {dialect}", "", *table(("name", "value", "why", "held against", "read"), rows), ""]
    lines += ["## Families of chat models", "", *families(), ""]
    return "\n".join(lines).rstrip() + "\n"


def families() -> list[str]:
    """One line for each family: its measure, its template, and what they were held against."""
    words = {"models", "providers", "percent", "why", "source", "sample", "date"}
    rows = []
    for name, each in read("chat_families.toml").items():
        template = ", ".join(f"{key} {value}" for key, value in each.items() if key not in words)
        template = re.sub(r"[{}']", "", template)
        where = f" at {', '.join(each['providers'])}" if each.get("providers") else ""
        held = f"{each['source']}: {each['sample']}; {each['date']}"
        rows.append((name, f"`{each['models']}`{where}", str(each["percent"]), template, each["why"], held))
    return table(("family", "models", "% of o200k", "template", "why", "held against, read"), rows)


MADE: dict[str, Callable[[], list[str]]] = {
    "providers": providers,
    "peculiarities": peculiarities,
    "parts": parts,
    "unserved": unserved,
}


def remade(text: str) -> str:
    """A page with its made parts as they have to be."""

    def make(found: re.Match[str]) -> str:
        return "\n".join([f"<!-- made: {found[1]} -->", *MADE[found[1]](), "<!-- end -->"])

    return re.sub(r"<!-- made: (\w+) -->\n.*?<!-- end -->", make, text, flags=re.DOTALL)


def pages() -> dict[Path, str]:
    """Every page that has made parts, as it has to be."""
    found = {DOCS / "constants.md": constants()}
    for name in ("providers.md", "routes.md"):
        found[DOCS / name] = remade((DOCS / name).read_text())
    return found


if __name__ == "__main__":
    if "--check" in sys.argv:
        stale = [page.name for page, text in pages().items() if not page.exists() or page.read_text() != text]
        sys.exit(f"stale: {', '.join(stale)}: run python docs/make_providers_page.py" if stale else 0)
    for page, text in pages().items():
        page.write_text(text)
