"""Lists by cursor, newest first: stable while rows are added, and no slower on page thousand."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from rest_framework.pagination import CursorPagination
from rest_framework.response import Response


class NewestFirst(CursorPagination):
    """Answers ``{"data": […], "next": URL or null, "next_cursor": text or null}``; ``limit`` sets the page's size."""

    ordering: tuple[str, ...] = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200

    def get_paginated_response(self, data: Any) -> Response:
        """Wrap a page."""
        following = self.get_next_link()
        cursor = parse_qs(urlsplit(following).query)["cursor"][0] if following else None
        return Response({"data": data, "next": following, "next_cursor": cursor})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page in OpenAPI."""
        return {
            "type": "object",
            "required": ["data", "next", "next_cursor"],
            "properties": {
                "data": schema,
                "next": {"type": ["string", "null"], "format": "uri"},
                "next_cursor": {"type": ["string", "null"]},
            },
        }
