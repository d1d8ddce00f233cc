from __future__ import annotations

from typing import Any

import pytest

from metering.allowances import NONE, Allowances
from metering.errors import RequestShapeError, Uncountable
from metering.responses_tool_texts import PLACES_MAX, format_text, namespace_text
from metering.responses_tools import ToolsCount, count_format, count_tools, runs_tools
from metering.tokens import count
from tests.metering.responses import function, request

O200K: Any = "o200k_base"


def declared(**schema: Any) -> str:
    """A function's declaration, without the section around it."""
    text = namespace_text([function(**schema)])
    head, end = "# Tools\n\n## functions\n\nnamespace functions {\n\n", "} // namespace functions"
    assert text.startswith(head)
    assert text.endswith(end)
    return text.removeprefix(head).removesuffix(end)


def shape(schema: Any, **root: Any) -> str:
    """The type that one property's schema is written as."""
    text = declared(properties={"a": schema}, required=["a"], **root)
    return text.removeprefix("type get_weather = (_: {\n").removesuffix("}) => any;\n\n")


def test_a_function_is_declared_as_the_cookbook_shows_it() -> None:
    schema = {
        "location": {"type": "string", "description": "The city, e.g. Oslo"},
        "format": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
    }
    tool = {**function(properties=schema, required=["location"]), "description": "Gets the weather.\nNow."}
    assert namespace_text([tool, function("get_place")]) == (
        "# Tools\n\n## functions\n\nnamespace functions {\n\n"
        "// Gets the weather.\n// Now.\n"
        "type get_weather = (_: {\n"
        "// The city, e.g. Oslo\nlocation: string,\n"
        'format?: "celsius" | "fahrenheit", // default: "celsius"\n'
        "}) => any;\n\n"
        "type get_place = () => any;\n\n"
        "} // namespace functions"
    )


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "integer"}, "a: number,\n"),
        ({"type": ["string", "null"]}, "a: string | null,\n"),
        ({"type": "array", "items": {"type": "boolean"}}, "a: boolean[],\n"),
        ({"items": {"type": "number"}}, "a: number[],\n"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "a: string | null,\n"),
        ({"allOf": [{"type": "string"}, {"const": 5}]}, "a: string & 5,\n"),
        ({"type": "object", "properties": {"b": {}}}, "a: {\nb?: any,\n},\n"),
        ({"type": "object"}, "a: {\n},\n"),
        ({"type": {"no": "type"}}, "a: any,\n"),
        (True, "a: any,\n"),
        ({"type": "string", "title": "A"}, "// A\na: string,\n"),
        ({"type": "string", "title": "A", "description": "b"}, "// A\n//\n// b\na: string,\n"),
        ({"type": "string", "minLength": 3}, "// minLength: 3\na: string,\n"),
        ({"type": "object", "additionalProperties": False}, "a: {\n},\n"),
        ({"type": "object", "additionalProperties": {}}, "// additionalProperties: {}\na: {\n},\n"),
        ({"description": {"odd": 1}}, '// {"odd":1}\na: any,\n'),
    ],
)
def test_a_schema_is_written_as_a_type(schema: Any, written: str) -> None:
    assert shape(schema) == written


def test_what_is_referred_to_is_written_where_it_is_used() -> None:
    defs = {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}}
    assert shape({"$ref": "#/$defs/Node"}, **{"$defs": defs}) == "a: {\nnext?: Node,\n},\n"
    assert shape({"$ref": "#/$defs/None/of/these"}, **{"$defs": {"None": 5}}) == "a: any,\n"


def test_a_schema_that_grows_without_end_is_refused() -> None:
    doubled = {
        f"d{n}": {"properties": {"l": {"$ref": f"#/$defs/d{n + 1}"}, "r": {"$ref": f"#/$defs/d{n + 1}"}}}
        for n in range(20)
    }
    with pytest.raises(Uncountable, match=str(PLACES_MAX)):
        shape({"$ref": "#/$defs/d0"}, **{"$defs": doubled})


def test_of_a_schema_without_properties_what_is_odd_is_still_counted() -> None:
    assert declared(additionalProperties=False) == "type get_weather = () => any;\n\n"
    assert '"minProperties":3' in declared(minProperties=3)
    assert namespace_text([{"name": "f", "parameters": None}]).count("type f = () => any") == 1


def counted(tools: Any, allowances: Allowances = NONE) -> ToolsCount:
    return count_tools(request(tools=tools).tools, allowances, O200K)


def test_no_tools_are_no_tokens() -> None:
    assert counted(None) == counted([]) == ToolsCount()


def test_many_tools_are_counted_once_for_the_same_bytes() -> None:
    tools = [function(f"tool_{number}", properties={"a": {"type": "string"}}) for number in range(30)]
    first = counted(tools)
    assert first == counted(tools)
    assert first.tokens > count(namespace_text(tools), O200K)


def test_tools_that_are_no_functions_have_a_passage_of_their_own() -> None:
    custom = {"type": "custom", "name": "sql", "description": "Run it"}
    space = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [function(), "odd"]}
    assert counted([custom]).tokens > 96
    assert counted([space]).tokens > counted([function()]).tokens + 96
    assert counted([{**space, "tools": None}]).tokens > 96
    assert counted([{"type": "tool_search", "execution": "client"}]).served == ()


@pytest.mark.parametrize(
    ("kind", "allowance", "fee"),
    [
        ("web_search", "web_search", "web_search"),
        ("web_search_preview_2025_03_11", "web_search", "web_search"),
        ("file_search", "file_search", "file_search"),
        ("code_interpreter", "code_execution", "code_interpreter"),
        ("mcp", "mcp", ""),
        ("tool_search", "server_tool", ""),
    ],
)
def test_tools_that_run_at_the_provider_are_named(kind: str, allowance: str, fee: str) -> None:
    [served] = counted([{"type": kind}]).served
    assert (served.part, served.kind, served.tokens, served.fee) == (f"tools[0].{kind}", allowance, None, fee)
    [allowed] = counted([{"type": kind}], Allowances({allowance: 900})).served
    assert allowed.tokens == 900


def test_whether_any_tool_runs_at_the_provider() -> None:
    assert runs_tools(request(tools=[function(), {"type": "web_search"}]).tools)
    assert not runs_tools(request(tools=[function(), {"type": "tool_search", "execution": "client"}]).tools)
    assert not runs_tools(request().tools)


def test_a_tool_that_openai_describes_itself_rests_on_an_allowance() -> None:
    with pytest.raises(Uncountable, match=r"tools\[0\]\.local_shell") as raised:
        counted([{"type": "local_shell"}])
    assert raised.value.kind == "server_tool"
    assert counted([{"type": "local_shell"}], Allowances({"server_tool": 700})).allowed_tokens == 700


def test_a_tool_with_a_price_that_nobody_knows_is_refused_whatever_is_allowed() -> None:
    with pytest.raises(Uncountable, match="image_generation") as raised:
        counted([function(), {"type": "image_generation"}], Allowances({"server_tool": 700}))
    assert raised.value.kind == ""


@pytest.mark.parametrize("tools", ["f", [5], [{"name": "f"}]])
def test_what_is_no_list_of_tools_is_refused(tools: Any) -> None:
    with pytest.raises(RequestShapeError):
        counted(tools)


def test_a_format_is_explained_in_the_prompt() -> None:
    wanted = {
        "type": "json_schema",
        "name": "City",
        "description": "A place",
        "schema": {"$schema": "x", "type": "object"},
    }
    assert format_text(wanted) == '# Response Formats\n\n## City\n\n// A place\n{"type":"object"}'
    assert format_text({"schema": None}).endswith("## format\n\nnull")
    assert count_format(wanted, O200K) == count(format_text(wanted), O200K) + 4
    assert [count_format({"type": kind}, O200K) for kind in ("", "text", "json_object")] == [0, 0, 0]
