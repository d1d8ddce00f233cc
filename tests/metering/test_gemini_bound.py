"""The bound of a Gemini request: text, turns, tools, media, what is kept elsewhere, and what is embedded."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from metering.allowances import Allowances
from metering.errors import RequestShapeError, Uncountable
from metering.gemini import bound_embed, bound_gemini, decode_gemini
from metering.gemini_text import text_tokens
from metering.gemini_tools import Room, expanded
from metering.quote import BoundClass
from tests.metering.gemini import FLASH, bound
from tests.metering.test_gemini_durations import header, movie, wav

NEW = "gemini-3-flash-preview"
LONG = "one two three " * 100
PDF = b"%PDF-1.4\n1 0 obj<</Type /Page>>endobj 2 0 obj<</Type /Page>>endobj"
ALLOWED = Allowances(dict.fromkeys(("file_id", "video", "image_url", "document", "audio"), 500))


def inline(kind: str, data: bytes, **more: Any) -> list[dict[str, Any]]:
    return [{"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}, **more}]


def png(width: int, height: int) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"
    )


def tool(**declaration: Any) -> list[dict[str, Any]]:
    return [{"functionDeclarations": [{"name": "f", **declaration}]}]


def test_digits_and_other_scripts_count_for_more() -> None:
    assert text_tokens("1234567890") >= 10
    assert text_tokens("abc") < text_tokens("12345")
    assert text_tokens("\u4f60\u597d") >= 2
    assert text_tokens("") == 0


def test_every_part_of_a_turn_counts() -> None:
    alone = bound().tokens
    for more in (
        {"systemInstruction": {"parts": [{"text": LONG}]}},
        {"system_instruction": LONG},
        {"contents": [{"parts": [{"text": "hi"}]}, {"parts": {"text": LONG}}]},
        {"contents": [LONG]},
        {"contents": {"parts": [LONG]}},
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": {"a": LONG}}}]}]},
        {"contents": [{"parts": [{"function_response": {"name": "f", "response": {"a": LONG}}}]}]},
        {"contents": [{"parts": [{"executableCode": {"code": LONG}}]}]},
        {"contents": [{"parts": [{"text": "hi", "thought": True, "thoughtSignature": "A" * 4000}]}]},
        {"contents": [{"parts": inline("text/plain", LONG.encode())}]},
        {"contents": [{"parts": inline("application/json", LONG.encode())}]},
        {"tools": tool(description=LONG)},
        {"generationConfig": {"responseSchema": {"type": "OBJECT", "description": LONG}}},
    ):
        assert bound(**more).tokens > alone + 250, more
    assert bound(thoughtSignature=None).bound_class is BoundClass.EMPIRICAL


def test_a_signature_is_billed_as_prompt() -> None:
    signed = [{"text": "hi", "thought_signature": "A" * 10_000}]
    assert bound(content=signed).tokens - bound().tokens == 3000


def test_a_long_turn_is_counted_once_and_alike() -> None:
    turns = [{"parts": [{"text": LONG}]}, {"parts": [{"text": LONG}]}]
    assert bound(contents=turns) == bound(contents=turns)
    assert bound(contents=turns).tokens > 2 * 300


@pytest.mark.parametrize(
    ("contents", "error"),
    [
        ([], RequestShapeError),
        ([7], RequestShapeError),
        ([{"parts": [7]}], RequestShapeError),
        ([{"parts": [{"text": 7}]}], RequestShapeError),
        ([{"parts": [{"functionCall": 7}]}], RequestShapeError),
        ([{"parts": [{"inlineData": {"mimeType": "image/png"}}]}], RequestShapeError),
        ([{"parts": [{"inlineData": {"mimeType": "text/plain", "data": "\u00e9"}}]}], RequestShapeError),
        ([{"parts": [{"fileData": {}}]}], RequestShapeError),
        ([{"parts": [{"somethingNew": {}}]}], Uncountable),
    ],
)
def test_what_cannot_be_read_is_refused(contents: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        bound(contents=contents)


def test_a_request_that_is_nested_too_deeply_is_refused() -> None:
    for levels in (300, 900, 20_000):
        schema = '{"items":' * levels + "{}" + "}" * levels
        body = '{"contents":["hi"],"tools":{"functionDeclarations":{"name":"f","parameters":' + schema + "}}}"
        try:
            found = bound_gemini(decode_gemini(body.encode(), FLASH)).tokens
        except RequestShapeError:
            found = 0
        assert bool(found) is (levels == 300)
    deep: Any = {"a": 1}
    for _ in range(3):
        deep = {"name": "f", "parts": [{"functionResponse": deep}]}
    with pytest.raises(RequestShapeError, match="deeply"):
        bound(content=[{"functionResponse": deep}])
    media = {"name": "f", "response": {}, "parts": inline("image/png", png(300, 300))}
    assert bound(content=[{"functionResponse": media}]).image_tokens == 258


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        (FLASH, (384, 384), 258),
        (FLASH, (640, 480), 1290),
        (FLASH, (3000, 4000), 258 * 25),
        (FLASH, (1000, 100), 258 * 5),
        (NEW, (3000, 4000), 1120),
        ("gemini-flash-latest", (10, 10), 1120),
    ],
)
def test_a_picture_costs_by_its_size_or_its_level(model: str, size: tuple[int, int], tokens: int) -> None:
    found = bound(model, inline("image/png", png(*size)))
    assert (found.image_tokens, found.audio_tokens) == (tokens, 0)
    assert found.tokens > tokens


@pytest.mark.parametrize(
    ("level", "tokens"),
    [
        ("MEDIA_RESOLUTION_LOW", 280),
        ("media_resolution_medium", 560),
        ("HIGH", 1120),
        ("MEDIA_RESOLUTION_ULTRA_HIGH", 2240),
        ("MEDIA_RESOLUTION_UNSPECIFIED", 1120),
        ("SOMETHING_NEW", 2240),
    ],
)
def test_a_level_bounds_a_picture(level: str, tokens: int) -> None:
    picture = inline("image/png", png(10, 10))
    assert bound(NEW, picture, generationConfig={"mediaResolution": level}).image_tokens == tokens
    for asked in (level, {"level": level}):
        shown = inline("image/png", png(10, 10), mediaResolution=asked)
        assert bound(NEW, shown).image_tokens == tokens
    assert bound(NEW, picture).image_tokens == 1120
    with pytest.raises(Uncountable, match="numTokens"):
        bound(NEW, inline("image/png", png(10, 10), mediaResolution={"numTokens": 9}))


def heic(*sizes: tuple[int, int]) -> bytes:
    extents = b"".join(b"ispe" + bytes(4) + struct.pack(">II", *size) for size in sizes)
    return b"\x00\x00\x00\x18ftypheic" + bytes(20) + extents


def test_sizes_of_other_formats_are_read() -> None:
    assert (
        bound(content=inline("image/gif", b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(9))).image_tokens
        == 1290
    )
    assert bound(content=inline("image/heic", heic((100, 100), (640, 480)))).image_tokens == 1290
    for data in (b"GIF8", heic(), b"nothing"):
        with pytest.raises(Uncountable, match="image_url"):
            bound(content=inline("image/heic", data))
        assert bound(content=inline("image/heic", data), allowances=ALLOWED).image_tokens == 500
    with pytest.raises(Uncountable):
        bound(content=[{"inlineData": {"mimeType": "image/png", "data": "\u00e9\u00e9\u00e9\u00e9"}}])


def test_the_alphabet_that_is_safe_in_addresses_is_read() -> None:
    data = base64.urlsafe_b64encode(b"\xfb\xff" * 30).decode().rstrip("=")
    assert "-" in data or "_" in data
    assert bound(content=[{"inlineData": {"mimeType": "text/plain", "data": data}}]).tokens > 0


@pytest.mark.parametrize(("model", "page_tokens"), [(FLASH, 258), (NEW, 560)])
def test_a_document_costs_by_its_pages(model: str, page_tokens: int) -> None:
    assert bound(model, inline("application/pdf", PDF)).image_tokens == 2 * page_tokens
    for kind, data in (("application/pdf", b"none"), ("application/msword", b"any")):
        with pytest.raises(Uncountable, match="document"):
            bound(model, inline(kind, data))
        assert bound(model, inline(kind, data), allowances=ALLOWED).image_tokens == 500


def test_sound_and_film_cost_by_their_length() -> None:
    heard = bound(content=inline("audio/wav", wav(10)))
    assert (heard.audio_tokens, heard.image_tokens) == (12 * 32, 0)
    film = movie(header(10_000))
    seen = bound(content=inline("video/mp4", film))
    assert (seen.audio_tokens, seen.image_tokens) == (11 * 32, 11 * 268)
    assert bound(NEW, inline("video/mp4", film)).image_tokens == 11 * 80
    faster = bound(NEW, inline("video/mp4", film, videoMetadata={"fps": 2}))
    assert faster.image_tokens == 22 * 80
    slower = bound(NEW, inline("video/mp4", film, video_metadata={"fps": 0.1}))
    assert slower.image_tokens == 11 * 80
    for fps in (-1, 25, "x", True):
        with pytest.raises(RequestShapeError):
            bound(NEW, inline("video/mp4", film, videoMetadata={"fps": fps}))
    for kind in ("audio", "video"):
        with pytest.raises(Uncountable, match=kind):
            bound(content=inline(f"{kind}/x", b"none"))
        found = bound(content=inline(f"{kind}/x", b"none"), allowances=ALLOWED)
        assert found.audio_tokens + found.image_tokens == 500


@pytest.mark.parametrize(
    ("file", "audio", "pictures"),
    [
        ({"fileUri": "https://example.com/x"}, 500, 0),
        ({"file_uri": "https://example.com/x", "mime_type": "image/png"}, 0, 500),
        ({"fileUri": "https://youtu.be/x", "mimeType": "video/*"}, 500, 0),
    ],
)
def test_a_file_that_is_elsewhere_needs_an_allowance(file: dict[str, str], audio: int, pictures: int) -> None:
    with pytest.raises(Uncountable) as raised:
        bound(content=[{"fileData": file}])
    assert raised.value.kind == ("video" if "youtu" in str(file) else "file_id")
    found = bound(content=[{"file_data": file}], allowances=ALLOWED)
    assert (found.audio_tokens, found.image_tokens, found.bound_class) == (
        audio,
        pictures,
        BoundClass.EMPIRICAL,
    )


def test_what_rests_on_an_allowance_is_not_remembered() -> None:
    turn = [{"text": LONG}, {"fileData": {"fileUri": "https://example.com/x"}}]
    found = [bound(content=turn, allowances=Allowances({"file_id": tokens})).tokens for tokens in (100, 900)]
    assert found[1] - found[0] == 800


def test_what_is_kept_at_google_needs_an_allowance() -> None:
    for field, kind in (("cachedContent", "cached_content"), ("continuationToken", "conversation")):
        fields = {field: "x"} if field == "cachedContent" else {"generationConfig": {field: "x"}}
        with pytest.raises(Uncountable) as raised:
            bound(**fields)
        assert raised.value.kind == kind
        allowed = Allowances({kind: 700})
        assert bound(allowances=allowed, **fields).tokens == bound().tokens + 700
        assert bound("sim-mini", allowances=allowed, **fields).bound_class is BoundClass.EMPIRICAL
    with pytest.raises(Uncountable, match="routingConfig"):
        bound(generationConfig={"routingConfig": {"autoMode": {}}})


@pytest.mark.parametrize(
    ("name", "kind", "model", "extras"),
    [
        ("googleSearch", "web_search", FLASH, (("web_search", 1),)),
        ("google_search", "web_search", NEW, (("web_search", 10),)),
        ("googleSearchRetrieval", "web_search", "gemini-1.5-flash", (("web_search", 1),)),
        ("googleMaps", "web_search", FLASH, (("map_search", 1),)),
        ("urlContext", "web_fetch", FLASH, ()),
        ("codeExecution", "code_execution", FLASH, ()),
        ("fileSearch", "file_search", FLASH, ()),
        ("computerUse", "server_tool", FLASH, ()),
    ],
)
def test_tools_that_run_at_google(
    name: str, kind: str, model: str, extras: tuple[tuple[str, int], ...]
) -> None:
    tools = [{name: {}}]
    with pytest.raises(Uncountable) as raised:
        bound(model, tools=tools)
    assert raised.value.kind == kind
    found = bound(model, tools=tools, allowances=Allowances({kind: 5000}))
    assert found.tokens >= bound(model).tokens + 5000
    assert (found.rounds, found.extras) == (6, extras)


def test_tools_nobody_knows_are_refused_and_empty_ones_are_nothing() -> None:
    with pytest.raises(Uncountable, match="parallelAiSearch"):
        bound(tools=[{"parallelAiSearch": {}}])
    assert bound(tools=[{"googleSearch": None}]) == bound(tools=[]) == bound()
    assert bound(tools=tool()[0]).tokens > bound().tokens


def written(schema: Any) -> Any:
    return expanded(schema, "x", Room())


def test_a_schema_that_refers_to_itself_is_written_out() -> None:
    node = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
    }
    schema = {"$defs": {"Node": node}, "properties": {"root": {"$ref": "#/$defs/Node", "title": "x"}}}
    text = json.dumps(written(schema))
    assert text.count("children") == 16
    assert "$ref" not in text
    assert '"title": "x"' in text
    assert bound(tools=tool(parametersJsonSchema=schema)).tokens > bound(tools=tool()).tokens + 300
    assert bound(generationConfig={"responseJsonSchema": schema}).tokens > bound().tokens + 300
    assert written({"$ref": "#/nowhere/at~1all"}) == {}
    assert written({"a": [{"$ref": "elsewhere"}]}) == {"a": [{"$ref": "elsewhere"}]}
    assert written({"$ref": "#", "a": 1}) == {"a": 1}
    unused = {"$defs": {"A": {"description": LONG}, "B": {"type": "object"}}, "a": {"$ref": "#/$defs/B"}}
    assert bound(tools=tool(parameters=unused)).tokens > bound(tools=tool()).tokens + 300
    twice = {"$ref": "#/$defs/T"}
    wide = {"$defs": {"T": {"properties": {"a": twice, "b": twice}}}, **twice}
    with pytest.raises(Uncountable, match="refers to itself"):
        written(wide)
    schemas = [{"name": "f", "parameters": schema}] * 1000
    with pytest.raises(Uncountable, match="refers to itself"):
        bound(tools=[{"functionDeclarations": schemas}])


def test_a_model_that_nobody_knows_is_bounded_by_bytes() -> None:
    found = bound("llama", provider="somebody")
    assert found.bound_class is BoundClass.HARD
    assert found.tokens > 512
    with_tools = bound("llama", provider="somebody", tools=tool())
    assert with_tools.tokens >= found.tokens + 1024
    recursive = {"$defs": {"N": {"a": {"$ref": "#/$defs/N"}}}, "b": {"$ref": "#/$defs/N"}}
    grown = bound("llama", provider="somebody", tools=tool(parameters=recursive))
    assert grown.tokens > with_tools.tokens
    seen = bound("llama", inline("image/png", png(9, 9)), provider="somebody")
    assert seen.bound_class is BoundClass.EMPIRICAL
    nothing = Allowances({"web_search": 0})
    searching = bound("llama", provider="somebody", allowances=nothing, tools=[{"googleSearch": {}}])
    assert searching.bound_class is BoundClass.EMPIRICAL


def embedded(model: str, **fields: Any) -> Any:
    needed = "requests" if "requests" in fields else "content"
    return decode_gemini(json.dumps(fields).encode(), model, needed=needed)


def test_what_is_embedded_is_bounded() -> None:
    content = {"parts": [{"text": "hello big world"}]}
    one = bound_embed(embedded("gemini-embedding-001", content=content))
    titled = bound_embed(embedded("gemini-embedding-001", content=content, title="a title"))
    many = bound_embed(embedded("gemini-embedding-001", requests=[{"content": content}] * 3))
    assert 3 <= one.tokens < titled.tokens
    assert many.tokens == 3 * one.tokens
    assert one.bound_class is BoundClass.EMPIRICAL
    hard = bound_embed(embedded("other", content=content), provider="somebody")
    assert hard.bound_class is BoundClass.HARD
    media = {"parts": inline("image/png", png(9, 9))}
    assert bound_embed(embedded("other", content=media), provider="x").bound_class is BoundClass.EMPIRICAL
    assert bound_embed(embedded("gemini-embedding-2", content=media)).image_tokens == 258
    simulated = bound_embed(embedded("sim-mini", content=content, title="two words"))
    assert (simulated.tokens, simulated.bound_class) == (5, BoundClass.EXACT)
    with pytest.raises(RequestShapeError, match="requests"):
        bound_embed(embedded("sim-mini", requests=[]))
