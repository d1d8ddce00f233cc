"""The documents say what the code has: variables, error codes, scripts, links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.urls import Resolver404, resolve

from metering.allowances import KINDS
from proxy.errors import CODES
from proxy.routes import routes_to_prove
from tests.test_tidy import ROOT, source_files, tracked

VARIABLE = re.compile(r"\"((?:FAREBOX|DATABASE|REDIS|CELERY|EMAIL)_[A-Z_]+)\"")
# Set by our own tools for our own tools: nobody else sets them.
INTERNAL = {"FAREBOX_KEEP_STACK"}


def headings(page: str) -> set[str]:
    """The second-level headings of a page, without code marks."""
    text = (ROOT / "docs" / page).read_text()
    return {line[3:].strip().strip("`") for line in text.splitlines() if line.startswith("## ")}


def variables_read() -> set[str]:
    """Every variable that our code names."""
    found = {name for path in source_files() for name in VARIABLE.findall(path.read_text())}
    not_variables = {name for name in found if name.endswith("_")}
    return found - INTERNAL - not_variables


def test_every_variable_is_documented() -> None:
    from proxy.settings import _NUMBERS

    numbers = {f"FAREBOX_{name.upper()}" for name in _NUMBERS}
    named_but_not_read = {"DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_RECORDER_URL"}
    wanted = variables_read() | numbers | named_but_not_read
    assert sorted(wanted - headings("env.md")) == []


def test_every_variable_of_a_deployment_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    names = set(re.findall(r"^#?\s?([A-Z_]+)=", example, re.MULTILINE))
    assert sorted(headings("env.md") - names) == []


def error_codes() -> set[str]:
    """Every code that an answer, a log line or a refusal to start may carry."""
    # A class says its code; the places that need no class of their own say it in the call.
    said = r"(?:Problem|problem_response|problem_document|_problem)\(\s*\d{3},\s*\"([a-z_]+)\""
    named = r"(?:Unauthorized|Forbidden|Refusal|_failed)\(\s*\"([a-z_]+)\""
    patterns = [re.compile(text, re.MULTILINE) for text in (r"^    code = \"([a-z_]+)\"", said, named)]
    texts = [path.read_text() for path in source_files() if "simulators" not in path.parts]
    found = {code for text in texts for pattern in patterns for code in pattern.findall(text)}
    framework = {"parse_error", "method_not_allowed", "unsupported_media_type", "not_acceptable"}
    return found | set(CODES) | framework


def test_every_error_code_is_documented() -> None:
    # The roots of the trees: never raised themselves.
    roots = {"metering_error", "enforcement_error", "tenants_error", "billing_error"}
    assert sorted(error_codes() - roots - headings("errors.md")) == []


def test_every_documented_error_is_one_of_ours() -> None:
    assert sorted(headings("errors.md") - error_codes()) == []


def test_every_command_that_a_page_names_exists() -> None:
    commands = {path.stem for path in source_files() if path.parent.name == "commands"} | {"migrate", "check"}
    pages = [page.read_text() for page in tracked("*.md")]
    named = {name for page in pages for name in re.findall(r"manage\.py ([a-z_]+)", page)}
    assert named
    assert sorted(named - commands) == []


@pytest.mark.parametrize("script", ["make_redis_page.py", "make_providers_page.py"])
def test_pages_are_made_from_what_they_tell_of(script: str) -> None:
    command = [sys.executable, str(ROOT / "docs" / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_allowance_is_explained() -> None:
    page = (ROOT / "docs" / "providers.md").read_text().partition("## Allowances")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == KINDS


def test_every_route_is_on_its_page() -> None:
    page = (ROOT / "docs" / "routes.md").read_text()
    ends = {re.split(r"[/:]", path)[-1] for _, path in routes_to_prove()}
    assert sorted(end for end in ends if end not in page) == []


def test_every_address_of_the_control_api_exists() -> None:
    missing = set()
    for page in tracked("*.md"):
        # An address that ends in a slash and an ellipsis stands for all below it.
        for path in re.findall(r"/api/v1(/[a-z{}<>/_-]+[a-z}>])(?![a-z_-]|/…)", page.read_text()):
            known = re.sub(r"[{<].*?[}>]", "x", path)
            if not resolves(f"/api/v1{known}"):
                missing.add(f"{page.name}: {path}")
    assert sorted(missing) == []


def resolves(address: str) -> bool:
    """Tell whether the web process has a page at an address."""
    try:
        resolve(address)
    except Resolver404:
        return False
    return True


def test_every_link_to_a_heading_finds_it() -> None:
    broken = []
    for page in tracked("*.md"):
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            text = (page.parent / target if target else page).read_text()
            heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            if anchor not in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}:
                broken.append(f"{page.relative_to(ROOT)} -> {target}#{anchor}")
    assert broken == []


def test_every_file_that_a_page_names_exists() -> None:
    broken = []
    for page in (ROOT / "ARCHITECTURE.md", ROOT / "README.md", *tracked("docs/*.md")):
        for name in re.findall(r"`((?:[a-z_]+/)+[a-z_*]+\.(?:py|lua|toml|csv|mjs))`", page.read_text()):
            if not any(ROOT.glob(name)) and not any((ROOT / "enforcement").glob(name)):
                broken.append(f"{page.name}: {name}")
    assert broken == []


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for page in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert broken == []


def test_decisions_are_a_page_each_and_numbered() -> None:
    pages = sorted(Path(ROOT / "docs" / "adr").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    assert [page.name for page in pages if len(page.read_text().splitlines()) > 60] == []
