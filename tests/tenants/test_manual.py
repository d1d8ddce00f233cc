"""The pages that answers link to: they are there, in words, under the very address that is given."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from proxy.errors import CODES
from tenants.api.problems import docs_link
from tenants.manual import PAGES, heading_id, read_page


def get(path: str) -> Any:
    return Client().get(path)


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_link_of_an_error_leads_to_its_heading(code: str) -> None:
    path, _, anchor = docs_link(code).removeprefix("http://127.0.0.1:8000").partition("#")
    answer = get(path)
    assert answer.status_code == 200
    assert f'<h2 id="{anchor}">{code}</h2>' in answer.content.decode()


def test_paragraphs_code_tables_and_lists_are_html() -> None:
    errors, words = read_page("errors").html, read_page("domain").html
    assert "<code>fbx_ak_</code>" in errors
    assert "<em>Next</em>" in errors
    assert "<table>" in words
    assert "<li>" in words
    assert "<pre>" in words


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_under_the_policy_and_its_headings_are_told_apart(name: str) -> None:
    answer = get(f"/docs/{name}")
    text = answer.content.decode()
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "<script" not in text
    ids = re.findall(r'<h\d id="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 3
    # A link of the repository would lead nowhere here.
    assert not re.search(r'href="(?!/|https?:|#)', text)


def test_a_link_between_pages_leads_from_one_to_the_other() -> None:
    assert 'href="/docs/responses"' in read_page("routes").html
    assert 'href="/docs/providers#allowances"' in read_page("errors").html
    assert ".md" not in "".join(re.findall(r'href="([^"]+)"', read_page("errors").html))


def test_the_index_lists_every_page_and_the_api() -> None:
    text = get("/docs/").content.decode()
    for path in (*(f"/docs/{name}" for name in PAGES), "/api/docs", "/api/schema"):
        assert f'href="{path}"' in text


def test_what_is_not_for_callers_is_not_there() -> None:
    for path in ("/docs/runbook", "/docs/env", "/docs/..%2fREADME", "/docs/errors/"):
        assert get(path).status_code == 404
    assert Client().post("/docs/errors").status_code == 405


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("invalid_key", "invalid_key"),
        ("Calls to models: the caller", "calls-to-models-the-caller"),
        ("`I1`", "i1"),
    ],
)
def test_a_heading_is_named_by_what_it_says(text: str, expected: str) -> None:
    assert heading_id(text) == expected
