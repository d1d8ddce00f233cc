"""The pages of ``docs/`` that callers are sent to, as HTML: what an answer's ``docs`` link leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt

# What is for callers; the rest of the folder is for whoever runs or changes Farebox.
PAGES = ("routes", "responses", "messages", "gemini", "providers", "holds", "stripe", "errors", "domain")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the manual, its first heading as title."""

    name: str
    title: str
    html: str


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the manual's pages and the API's."""
    return render(request, "docs/index.html", {"pages": [read_page(name) for name in PAGES]})


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one page; each heading can be linked to by what it says."""
    if name not in PAGES:
        raise Http404(name)
    return render(request, "docs/page.html", {"page": read_page(name)})


@cache
def read_page(name: str) -> Page:
    """Read a page of the repository and make it HTML, once."""
    text = (settings.BASE_DIR / "docs" / f"{name}.md").read_text("utf-8")
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    titles = []
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", heading_id(inside.content))
            titles.append(inside.content)
        for piece in inside.children or ():
            if piece.type == "link_open":
                piece.attrSet("href", _address(str(piece.attrs["href"])))
    return Page(name, titles[0], parser.renderer.render(tokens, parser.options, {}))


def _address(link: str) -> str:
    """Where a link of the repository leads here: to the page's own address, or to the index where it has none."""
    page_name, extension, heading = link.partition(".md")
    if not extension or "://" in link:
        return link
    return f"/docs/{page_name}{heading}" if page_name in PAGES else "/docs/"


def heading_id(text: str) -> str:
    """Make a heading's id: a code stays as it is, words are joined by dashes."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")
