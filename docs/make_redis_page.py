"""Write docs/redis.md from the scripts' own headers, so that the page cannot drift from the code.

python docs/make_redis_page.py          write the page
python docs/make_redis_page.py --check  fail when the page is not what it would write
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "redis.md"
INTRODUCTION = """# Redis: keys and scripts

Made from `enforcement/keys.py` and the scripts' own headers by `docs/make_redis_page.py`; a test compares them.

All keys of a shard share its hash tag `{s<n>}`, so one script can touch them on a cluster; a tenant's keys carry its id
and the mode, so test and live cannot meet in one record. Every script is one operation: all checks, then all writes.
Every operation can be repeated with the same hold id and changes nothing twice. Time is Redis's.
"""


def key_lines() -> list[str]:
    """One line for each kind of key: how it is made, and the docstring that says what it holds."""
    tree = ast.parse((ROOT / "enforcement" / "keys.py").read_text())
    lines = ["## Keys", "", "| made by | what it is |", "|---|---|"]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name != "shard":
            summary = " ".join((ast.get_docstring(node) or "").split())
            lines.append(f"| `{node.name}` | {summary.replace('|', chr(92) + '|')} |")
    return lines


def script_lines(path: Path) -> list[str]:
    """A script's header as it stands in its file."""
    header = [line[3:] for line in path.read_text().splitlines() if line.startswith("-- ")]
    contract = []
    for line in header:
        if contract and line.startswith("use: "):
            break
        if not line.startswith("use: "):
            contract.append(line)
        if line.startswith("Order"):
            break
    title, _, rest = contract[0].partition(": ")
    return [f"### {title}", "", rest, "", "```", *contract[1:], "```", ""]


def page() -> str:
    """The whole page."""
    lines = [INTRODUCTION, *key_lines(), "", "## Scripts", ""]
    for path in sorted((ROOT / "enforcement" / "lua").glob("*.lua")):
        lines += script_lines(path)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(
            0 if PAGE.read_text() == page() else "docs/redis.md is stale: run python docs/make_redis_page.py"
        )
    PAGE.write_text(page())
