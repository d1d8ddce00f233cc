"""Check requests and answers against Stripe's own description of its interface, where that is at hand.

Needs the reduced OpenAPI file (`FAREBOX_DATA/stripe-openapi-reduced.json`) and the packages
openapi-schema-validator and referencing. Without them the simulator says so at its start and goes on: unknown
parameters are still refused, by each endpoint's own list.
"""

from __future__ import annotations

import copy
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.store import Obj

_FORM = "application/x-www-form-urlencoded"
_SPEC_URI = "urn:stripe"


class _Fault(Protocol):
    message: str
    validator: str
    absolute_path: Any


class Checker:
    """Finds the operation of a request and validates against its schemas."""

    def __init__(self, spec: Obj, make: Callable[[Obj], Any]) -> None:
        self._spec = spec
        self._make = make
        self._validators: dict[tuple[str, str, str], Any] = {}
        self._operations = [
            (re.compile("^" + re.sub(r"\{\w+\}", "[^/]+", path) + "$"), path, methods)
            for path, methods in spec["paths"].items()
        ]
        self._operations.sort(key=lambda each: each[1].count("{"))

    def check_request(self, method: str, path: str, params: Obj) -> None:
        """Refuse a request that Stripe's description does not allow."""
        schema, is_form = self._request_schema(method, path)
        if schema is None:
            return
        value = self._coerce(schema, params) if is_form else params
        for fault in self._faults(schema, value, (method, path, "in")):
            raise _refuse(fault)

    def check_answer(self, method: str, path: str, answer: Obj) -> list[str]:
        """List what an answer has that Stripe's description does not."""
        operation = self._operation(method, path)
        content = operation and operation["responses"].get("200", {}).get("content", {})
        schema = content and content["application/json"]["schema"]
        if not schema:
            return []
        return [
            f"{'.'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"
            for fault in self._faults(schema, answer, (method, path, "out"))
        ]

    def _operation(self, method: str, path: str) -> Any:
        for pattern, _, methods in self._operations:
            if pattern.match(path) and method.lower() in methods:
                return methods[method.lower()]
        return None

    def _request_schema(self, method: str, path: str) -> tuple[Any, bool]:
        operation = self._operation(method, path)
        if operation is None:
            return None, False
        queries = [each for each in operation.get("parameters", []) if each["in"] == "query"]
        if method == "GET" or (method == "DELETE" and queries):
            properties = {each["name"]: each["schema"] for each in queries}
            required = [each["name"] for each in queries if each.get("required")]
            schema: Obj = {"type": "object", "properties": properties, "additionalProperties": False}
            return schema | ({"required": required} if required else {}), True
        content = operation.get("requestBody", {}).get("content", {})
        kind = _FORM if _FORM in content else "application/json"
        return content.get(kind, {}).get("schema"), kind == _FORM

    def _faults(self, schema: Obj, value: object, slot: tuple[str, str, str]) -> list[_Fault]:
        validator = self._validators.get(slot)
        if validator is None:
            validator = self._validators[slot] = self._make(schema)
        return list(validator.iter_errors(value))

    def _coerce(self, schema: Any, value: object) -> object:
        """Give a form's texts the types that the schema has for them."""
        schema = self._resolve(schema)
        if "anyOf" in schema:
            tries = [self._coerce(each, value) for each in schema["anyOf"]]
            changed = [each for each in tries if each != value]
            return changed[0] if changed else value
        if isinstance(value, dict):
            inner, rest = schema.get("properties", {}), schema.get("additionalProperties")
            fallback = rest if isinstance(rest, dict) else {}
            return {name: self._coerce(inner.get(name, fallback), below) for name, below in value.items()}
        if isinstance(value, list):
            return [self._coerce(schema.get("items", {}), below) for below in value]
        return _coerce_text(schema.get("type"), value)

    def _resolve(self, schema: Any) -> Obj:
        while isinstance(schema, dict) and "$ref" in schema:
            found: Any = self._spec
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema if isinstance(schema, dict) else {}


def load_checker(path: Path) -> tuple[Checker | None, str]:
    """Load what can be loaded; returns the checker, or None with the reason."""
    try:
        schemas = importlib.import_module("openapi_schema_validator")
        referencing = importlib.import_module("referencing")
        draft = importlib.import_module("referencing.jsonschema").DRAFT4
    except ImportError as error:
        return None, f"package {error.name} is not installed"
    if not path.is_file():
        return None, f"{path} is not there"
    spec = _with_nulls(json.loads(path.read_text()))
    resource = referencing.Resource(contents=spec, specification=draft)
    registry = referencing.Registry().with_resource(_SPEC_URI, resource)

    def make(schema: Obj) -> Any:
        return schemas.OAS30Validator(_absolute(copy.deepcopy(schema)), registry=registry)

    return Checker(spec, make), ""


def _coerce_text(kind: object, value: object) -> object:
    text = str(value)
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    return value


def _refuse(fault: _Fault) -> Refused:
    steps = [str(step) for step in fault.absolute_path]
    param = "".join([steps[0], *(f"[{step}]" for step in steps[1:])]) if steps else None
    if fault.validator == "additionalProperties":
        names = re.findall(r"'([^']+)'", fault.message)
        name = names[-1] if names else "?"
        told = f"{param}[{name}]" if param else name
        code = "parameter_unknown"
        return invalid(f"Received unknown parameter: {told}", param=told, code=code).unsaved()
    return invalid(f"Invalid parameter {param or ''}: {fault.message[:300]}", param=param).unsaved()


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str) and node["$ref"].startswith("#"):
            node["$ref"] = _SPEC_URI + node["$ref"]
        for below in node.values():
            _absolute(below)
    elif isinstance(node, list):
        for below in node:
            _absolute(below)
    return node


def _with_nulls(node: Any) -> Any:
    # A nullable choice allows null although its list does not say so; nor do the schemas it is any of.
    if isinstance(node, dict):
        if node.get("nullable") and isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
        if node.get("nullable") and isinstance(node.get("anyOf"), list):
            node["anyOf"] = [*node["anyOf"], {"enum": [None]}]
        for below in node.values():
            _with_nulls(below)
    elif isinstance(node, list):
        for below in node:
            _with_nulls(below)
    return node
