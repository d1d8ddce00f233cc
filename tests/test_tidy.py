"""The house style as a test: what a machine can check of it."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("config", "proxy", "billing", "tenants", "enforcement", "metering", "simulators")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 40
BANNED_MODULES = {"utils", "helpers", "common", "misc", "manager", "managers"}
UNITLESS = {"amount", "limit", "timeout", "size", "price", "ttl", "duration", "delay"}
LUA_HEADINGS = ("KEYS", "ARGV", "Returns", "Errors", "Keeps", "Order")
# Functions longer than a screen, each with its reason; the list may shrink, never grow.
LONG_FUNCTIONS: dict[str, str] = {}


def tracked(*patterns: str) -> list[Path]:
    """The files git knows of or would take, by pattern."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({ROOT / line for line in out.splitlines() if (ROOT / line).exists()})


def source_files() -> list[Path]:
    """Our Python, without tests and migrations."""
    return [
        path for path in tracked(*(f"{name}/*.py" for name in PACKAGES)) if "migrations" not in path.parts
    ]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Each function of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name_of(path: Path) -> str:
    """A file's path from the root."""
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_one_idea() -> None:
    files = [*source_files(), *tracked("tests/*.py", "benchmarks/*.py")]
    long = {
        name_of(path): lines
        for path in files
        if (lines := len(path.read_text().splitlines())) > FILE_LINES_MAX
    }
    assert not long


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{name_of(path)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in source_files()
        for node in functions(path)
        if node.end_lineno and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name_of(path) for path in source_files() if path.stem in BANNED_MODULES] == []


def test_every_integer_parameter_carries_its_unit() -> None:
    bare = [
        f"{name_of(path)}:{node.name}({argument.arg})"
        for path in source_files()
        for node in functions(path)
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.arg in UNITLESS
        and argument.annotation
        and ast.unparse(argument.annotation) in {"int", "float"}
    ]
    assert [name for name in bare if not name.endswith("(limit)")] == []


def test_no_float_touches_money() -> None:
    pattern = re.compile(r"float\([^)]*_nanousd")
    assert [name_of(path) for path in source_files() if pattern.search(path.read_text())] == []


def test_no_marker_of_unfinished_work_lands() -> None:
    marker = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    files = [
        path for path in tracked("*.py", "*.lua", "*.html", "*.css", "Makefile") if path != Path(__file__)
    ]
    assert [name_of(path) for path in files if marker.search(path.read_text())] == []


def test_no_stub_lands() -> None:
    assert [name_of(path) for path in source_files() if "raise NotImplementedError" in path.read_text()] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "enforcement" / "lua").glob("*.lua")), ids=lambda path: path.name
)
def test_every_script_opens_with_its_contract(path: Path) -> None:
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0].startswith("#!lua") else lines[0]
    assert first.startswith(f"-- {path.name}: ")
    header = "\n".join(line for line in lines if line.startswith("--"))
    assert [heading for heading in LUA_HEADINGS if f"-- {heading}" not in header] == []


def test_the_tree_names_no_registry_and_no_machine() -> None:
    hosts = re.compile(
        "py" + r"pi\.org|pythonhos" + r"ted\.org|npm" + r"js\.(?:org|com)|deb\.deb" + r"ian\.org"
    )
    found = []
    for path in tracked("*"):
        if path.suffix in {".gz", ".png", ".ico"}:
            continue
        text = path.read_text(errors="replace")
        if hosts.search(text) or f"{ROOT.parent}/" in text:
            found.append(name_of(path))
    assert found == []


def test_the_lock_carries_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = re.findall(r"^[a-z0-9][\w.\[\]-]*==", lock, re.MULTILINE)
    assert len(pinned) > 50
    assert lock.count("--hash=sha256:") >= len(pinned)
