"""The description of the API: its key in the schema, and a page that shows the schema without anybody's CDN."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from tenants.api.faults import method_not_allowed

METHODS = ("get", "post", "put", "patch", "delete")


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped there
    """Describes the bearer key."""

    target_class = "tenants.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token in the Authorization header."""
        return {"type": "http", "scheme": "bearer", "description": "A tenant's API key: fbx_ak_…"}


@csrf_exempt  # it changes nothing, and a refusal must be a problem document like any other of the API
def docs_page(request: HttpRequest) -> HttpResponseBase:
    """Show every operation of the schema on one page."""
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed(request, "GET", "HEAD")
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped there
    operations = [
        _operation(method, path, item[method])
        for path, item in sorted(schema["paths"].items())
        for method in METHODS
        if method in item
    ]
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in operations:
        groups.setdefault(operation["path"].split("/")[3], []).append(operation)
    shapes = [
        {"name": name, "text": shape.get("description", ""), "fields": _fields(shape)}
        for name, shape in sorted(schema["components"]["schemas"].items())
        if "properties" in shape
    ]
    return render(
        request, "tenants/api_docs.html", {"groups": groups, "shapes": shapes, "info": schema["info"]}
    )


def _operation(method: str, path: str, item: dict[str, Any]) -> dict[str, Any]:
    content = item.get("requestBody", {}).get("content", {})
    answers = [{"status": status, "shape": _shape_of(answer)} for status, answer in item["responses"].items()]
    return {
        "id": item["operationId"],
        "method": method.upper(),
        "path": path,
        "text": item.get("description", ""),
        "query": [
            {"name": one["name"], "text": one.get("description", "")}
            for one in item.get("parameters", [])
            if one["in"] == "query"
        ],
        "takes": _name(content.get("application/json", {}).get("schema", {})),
        "answers": answers,
    }


def _shape_of(answer: dict[str, Any]) -> str:
    contents: list[dict[str, Any]] = list(answer.get("content", {}).values())
    return _name(contents[0].get("schema", {})) if contents else ""


def _fields(shape: dict[str, Any]) -> list[dict[str, Any]]:
    required = set(shape.get("required", ()))
    return [
        {
            "name": name,
            "type": _name(field),
            "required": name in required,
            "text": field.get("description", ""),
        }
        for name, field in shape["properties"].items()
    ]


def _name(schema: dict[str, Any]) -> str:
    """A schema in a word or two: the component it refers to, or its type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "items" in schema:
        return f"list of {_name(schema['items'])}"
    parts = schema.get("oneOf") or schema.get("allOf") or schema.get("anyOf")
    if parts:
        return " or ".join(filter(None, (_name(part) for part in parts)))
    if "enum" in schema:
        return " | ".join(str(word) for word in schema["enum"] if word is not None)
    kind = schema.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
