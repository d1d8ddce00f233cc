"""Write the client's resources from the OpenAPI schema: ``python generate.py schema.json``.

One file per resource with its shapes, its sync and its async class; shapes that several resources share stand in
``shared.py``. What is written here is never edited by hand; a test compares it with the schema of the server.
"""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "src" / "farebox" / "resources"
REF = "#/components/schemas/"
VERBS = ("get", "post", "put", "patch", "delete")
_HEAD = "from __future__ import annotations\n"
_DECIMAL = re.compile(r"\\d.*\\\.\\d")
TEXT_CHARS_MAX = 110  # of a docstring's line


@dataclass
class Operation:
    """One method of a resource."""

    resource: str
    name: str
    verb: str
    path: str
    text: str
    parts: list[str]
    query: list[tuple[str, str, bool]]  # name, type, required
    body: list[tuple[str, str, bool]] | None
    answer: str
    is_page: bool
    shapes: set[str] = field(default_factory=set)


def resources_of(schema: dict[str, Any]) -> dict[str, str]:
    """Write every file. Returns: its text by its name."""
    shapes = schema["components"]["schemas"]
    operations = [
        _operation(schema, path, verb, item[verb])
        for path, item in sorted(schema["paths"].items())
        for verb in VERBS
        if verb in item
    ]
    by_resource: dict[str, list[Operation]] = defaultdict(list)
    users: dict[str, set[str]] = defaultdict(set)
    for operation in operations:
        others = by_resource[operation.resource]
        assert operation.name not in {other.name for other in others}, operation
        others.append(operation)
        for shape in _reached(operation.shapes, shapes):
            users[shape].add(operation.resource)
    shared = sorted(shape for shape, named in users.items() if len(named) > 1)
    # What a shared shape refers to is shared as well.
    shared = sorted(_reached(set(shared), shapes))
    files = {}
    for resource, found in sorted(by_resource.items()):
        own = sorted(shape for shape in users if users[shape] == {resource} and shape not in shared)
        files[f"{resource}.py"] = _resource_file(resource, found, own, shared, shapes)
    files["shared.py"] = _shared_file(shared, shapes)
    files["__init__.py"] = _index(sorted(by_resource))
    return files


def _operation(schema: dict[str, Any], path: str, verb: str, item: dict[str, Any]) -> Operation:
    words = [word.replace("-", "_") for word in path.split("/")[3:]]
    resource = "_".join(words[:2]) if words[0] == "billing" and len(words) > 1 else words[0]
    tokens = item["operationId"].split("_")
    while len(tokens) > 1 and tokens[0] in resource.split("_"):
        tokens.pop(0)
    name = "_".join(tokens)
    answer, is_page, used = _answer(schema, item["responses"])
    content = item.get("requestBody", {}).get("content", {}).get("application/json")
    return Operation(
        resource=resource,
        name=f"{name}_" if keyword.iskeyword(name) else name,
        verb=verb.upper(),
        path=path,
        text=item.get("description", "").split("\n")[0],
        parts=re.findall(r"{(\w+)}", path),
        query=[
            (one["name"], _type(one["schema"], inside=True), bool(one.get("required")))
            for one in item.get("parameters", [])
            if one["in"] == "query" and one["name"] != "cursor"
        ],
        body=None if content is None else _fields(schema, content["schema"]),
        answer=answer,
        is_page=is_page,
        shapes=used,
    )


def _answer(schema: dict[str, Any], responses: dict[str, Any]) -> tuple[str, bool, set[str]]:
    content: dict[str, Any] = {}
    for status in sorted(responses):
        if status.startswith("2") and responses[status].get("content"):
            content = responses[status]["content"]
            break
    if not content:
        return "None", False, set()
    if "application/json" not in content:
        return "str", False, set()
    given = content["application/json"]["schema"]
    row = given.get("items")
    if row is None and "$ref" in given:
        data = schema["components"]["schemas"][_name(given)].get("properties", {}).get("data", {})
        row = data.get("items")
    elif row is None:
        row = given.get("properties", {}).get("data", {}).get("items")
    wanted = row if row is not None else given
    kind = _type(wanted)
    return (kind if kind != "Any" else "dict[str, Any]"), row is not None, _refs(wanted)


def _fields(schema: dict[str, Any], given: dict[str, Any]) -> list[tuple[str, str, bool]]:
    shape = schema["components"]["schemas"][_name(given)] if "$ref" in given else given
    required = set(shape.get("required", ()))
    return [
        (name, _type(one, inside=True), name in required)
        for name, one in shape.get("properties", {}).items()
        if not one.get("readOnly")
    ]


def _type(given: dict[str, Any], *, inside: bool = False) -> str:
    """The Python type of a schema; ``inside`` = as an argument, where nested objects are plain mappings."""
    for joined in ("oneOf", "anyOf", "allOf"):
        if joined in given:
            kinds = [_type(one, inside=inside) for one in given[joined]]
            real = [kind for kind in kinds if kind != "None"]
            known = real[0] if len(set(real)) == 1 else "Any"
            return f"{known} | None" if "None" in kinds and known != "Any" else known
    if "$ref" in given:
        return "Mapping[str, Any]" if inside else _name(given)
    kinds = given.get("type", [])
    names = kinds if isinstance(kinds, list) else [kinds]
    real = [name for name in names if name != "null"]
    if "enum" in given:
        words = ", ".join(f'"{word}"' for word in given["enum"] if word is not None)
        kind = f"Literal[{words}]"
    elif len(real) != 1:
        return "None" if names == ["null"] else "Any"
    else:
        kind = _plain(real[0], given, inside=inside)
    return f"{kind} | None" if "null" in names else kind


def _plain(name: str, given: dict[str, Any], *, inside: bool) -> str:
    match name:
        case "string":
            if _DECIMAL.search(given.get("pattern", "")):
                return "Decimal | str" if inside else "Decimal"
            return {"date-time": "datetime", "date": "date"}.get(given.get("format", ""), "str")
        case "integer" | "boolean" | "null":
            return {"integer": "int", "boolean": "bool", "null": "None"}[name]
        case "array":
            inner = _type(given["items"], inside=inside)
            return f"Sequence[{inner}]" if inside else f"tuple[{inner}, ...]"
        case "object":
            more = given.get("additionalProperties")
            inner = _type(more, inside=inside) if isinstance(more, dict) and more else "Any"
            return f"Mapping[str, {inner}]" if inside else f"dict[str, {inner}]"
        case _:
            return "Any"


def _refs(given: Any) -> set[str]:
    if isinstance(given, dict):
        own = {_name(given)} if "$ref" in given else set()
        return own.union(*(_refs(inner) for inner in given.values()))
    if isinstance(given, list):
        return set().union(*(_refs(inner) for inner in given))
    return set()


def _reached(names: set[str], shapes: dict[str, Any]) -> set[str]:
    found, wanted = set(), set(names)
    while wanted:
        name = wanted.pop()
        found.add(name)
        wanted |= _refs(shapes[name]) - found
    return found


def _name(given: dict[str, Any]) -> str:
    return str(given["$ref"]).removeprefix(REF)


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _shape(name: str, shape: dict[str, Any]) -> str:
    required = set(shape.get("required", ()))
    text = " ".join(shape.get("description", name).replace("\\", "").split())
    lines = ["@dataclass(frozen=True, slots=True, kw_only=True)", f"class {name}:", _docstring(text, 4), ""]
    for field_name, one in shape.get("properties", {}).items():
        kind = _type(one)
        if field_name not in required:
            kind = kind if kind.endswith("| None") or kind == "Any" else f"{kind} | None"
        lines.append(f"    {_safe(field_name)}: {kind}" + ("" if field_name in required else " = None"))
    lines.append("    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know")
    return "\n".join(lines)


def _docstring(text: str, indent: int) -> str:
    """A docstring, its first sentence on a line of its own where it would be too long for one."""
    pad = " " * indent
    if len(text) <= TEXT_CHARS_MAX:
        return f'{pad}"""{text}"""'
    first, stop, rest = text.partition(". ")
    wrapped = textwrap.wrap(rest, TEXT_CHARS_MAX) if stop else []
    head = textwrap.wrap(f"{first}." if stop else first, TEXT_CHARS_MAX)
    body = [head[0], *([] if len(head) == 1 else ["", *head[1:]]), *(["", *wrapped] if wrapped else [])]
    lines = [line if number == 0 or not line else pad + line for number, line in enumerate(body)]
    return f'{pad}"""' + "\n".join(lines) + f'\n{pad}"""'


def _method(operation: Operation, *, is_async: bool) -> str:
    arguments = ["self", *(f"{part}: str" for part in operation.parts)]
    named = [*operation.query, *(operation.body or [])]
    plain = sorted(named, key=lambda one: not one[2])
    options = [
        f"{_safe(name)}: {kind}" if required else f"{_safe(name)}: {_or_unset(kind)} = UNSET"
        for name, kind, required in plain
    ]
    if operation.verb == "POST":
        options.append("idempotency_key: str | None = None")
    if options:
        arguments += ["*", *options]
    answer = operation.answer
    if operation.is_page:
        answer = f"{'Async' if is_async else ''}Iterator[{answer}]"
    waits = is_async and not operation.is_page
    head = f"    {'async ' if waits else ''}def {operation.name}({', '.join(arguments)}) -> {answer}:"
    lines = [head, _docstring(operation.text or operation.name, 8), f"        ask = {_ask(operation)}"]
    if operation.is_page:
        lines.append(f"        return self._sender.pages(ask, {operation.answer})")
    else:
        sent = f"{'await ' if waits else ''}self._sender.call(ask, {operation.answer})"
        lines.append(
            f"        {sent}"
            if operation.answer == "None"
            else f'        return cast("{operation.answer}", {sent})'
        )
    return "\n".join(lines)


def _or_unset(kind: str) -> str:
    if kind.endswith(" | None"):
        return f"{kind.removesuffix(' | None')} | Unset | None"
    return kind if kind == "Any" else f"{kind} | Unset"


def _ask(operation: Operation) -> str:
    path = re.sub(r"{(\w+)}", r'{quote(\1, safe="")}', operation.path)
    given = [f'"{operation.verb}"', f"f'{path}'" if operation.parts else f'"{path}"']
    if operation.query:
        given.append(
            "query=given(" + ", ".join(f"{_safe(n)}={_safe(n)}" for n, _, _ in operation.query) + ")"
        )
    if operation.body is not None:
        given.append("body=given(" + ", ".join(f"{_safe(n)}={_safe(n)}" for n, _, _ in operation.body) + ")")
    if operation.verb == "POST":
        given.append("idempotency_key=idempotency_key")
    return f"Ask({', '.join(given)})"


def class_name(resource: str) -> str:
    """The class of a resource: ``BillingPushes`` of ``billing_pushes``."""
    return "".join(word.title() for word in resource.split("_"))


def _resource_file(
    resource: str, operations: list[Operation], own: list[str], shared: list[str], shapes: dict[str, Any]
) -> str:
    name = class_name(resource)
    bodies = [_shape(shape, shapes[shape]) for shape in own]
    for prefix, sender, is_async in (("", "Sender", False), ("Async", "AsyncSender", True)):
        kind = "async" if is_async else "sync"
        methods = "\n\n".join(_method(operation, is_async=is_async) for operation in operations)
        bodies.append(
            f'class {prefix}{name}:\n    """The resource {resource}, {kind}."""\n\n'
            f"    def __init__(self, sender: {sender}) -> None:\n        self._sender = sender\n\n{methods}"
        )
    text = "\n\n\n".join(bodies)
    used = sorted(shape for shape in shared if re.search(rf"\b{shape}\b", text))
    head = f'"""{resource}: written by generate.py from the OpenAPI schema."""\n\n{_HEAD}'
    return head + _imports(text, used) + "\n\n\n" + text + "\n"


def _shared_file(shared: list[str], shapes: dict[str, Any]) -> str:
    text = "\n\n\n".join(_shape(shape, shapes[shape]) for shape in shared)
    head = f'"""Shapes of several resources: written by generate.py from the OpenAPI schema."""\n\n{_HEAD}'
    return head + _imports(text, []) + "\n\n\n" + text + "\n"


def _imports(text: str, used: list[str]) -> str:
    def names(*wanted: str) -> str:
        return ", ".join(name for name in wanted if re.search(rf"\b{name}\b", text))

    standard = [
        ("collections.abc", names("AsyncIterator", "Iterator", "Mapping", "Sequence")),
        ("dataclasses", names("dataclass", "field") if "@dataclass" in text else ""),
        ("datetime", names("date", "datetime")),
        ("decimal", names("Decimal")),
        ("typing", names("Any", "Literal", "cast")),
        ("urllib.parse", names("quote") if "{quote(" in text else ""),
    ]
    ours = [
        ("farebox.resources.shared", ", ".join(used)),
        ("farebox.shapes", names("UNSET", "Unset", "given") if "Ask(" in text else ""),
        ("farebox.transport", names("Ask", "AsyncSender", "Sender") if "Ask(" in text else ""),
    ]
    blocks = [
        "\n".join(f"from {module} import {what}" for module, what in block if what)
        for block in (standard, ours)
    ]
    return "\n" + "\n\n".join(block for block in blocks if block)


def _index(resources: list[str]) -> str:
    imports = "\n".join(
        f"from farebox.resources.{name} import Async{class_name(name)}, {class_name(name)}"
        for name in resources
    )
    bodies = []
    for prefix, sender in (("", "Sender"), ("Async", "AsyncSender")):
        lines = "\n".join(f"        self.{name} = {prefix}{class_name(name)}(sender)" for name in resources)
        bodies.append(
            f'class {prefix}Resources:\n    """Every resource of the API."""\n\n'
            f"    def __init__(self, sender: {sender}) -> None:\n{lines}"
        )
    head = '"""The resources of the API: written by generate.py from the OpenAPI schema."""\n\n'
    text = "\n\n\n".join(bodies)
    return f"{head}{_HEAD}\n{imports}\nfrom farebox.transport import AsyncSender, Sender\n\n\n{text}\n"


def formatted(name: str, text: str) -> str:
    """Lay a file out as everything here is."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FOLDER / name), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=FOLDER.parent)
    return done.stdout


def main() -> None:
    """Write the files beside this one."""
    schema = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = {name: formatted(name, text) for name, text in resources_of(schema).items()}
    for old in FOLDER.glob("*.py"):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
