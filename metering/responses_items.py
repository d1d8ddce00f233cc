"""Tokens of one item of a Responses input: exact for plain text under the documented framing, bounded for all else.

Sources: for models that reason, OpenAI's cookbook, "OpenAI harmony response format", read to 2026-11 (a message is its
role and text in three marks; an assistant's also names its channel, in two tokens; calls and results have longer
heads); for the others "How to count tokens with tiktoken". Both were exact for 190 recorded requests of text alone.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from metering.allowances import Allowances
from metering.chat_parts import PAGE_TEXT_TOKENS
from metering.chat_request import parse_unique
from metering.count_cache import CountCache
from metering.empirical import constant
from metering.errors import RequestShapeError, Uncountable
from metering.images import image_tokens
from metering.model_families import image_rule_of
from metering.pdfs import pdf_pages
from metering.responses_tool_texts import compact, namespace_text
from metering.tokens import Encoding, byte_bound, count, count_exact

MESSAGE_TOKENS = 3
CHANNEL_TOKENS = 2
# A call: start, assistant, channel, commentary, to=functions. (5), constrain, json and a space, message, call.
_CALL_TOKENS = 14
# Its result: start, functions., to=assistant (3), channel, commentary, message, end, and quotes.
_RESULT_TOKENS = 13
_CACHED_BYTES_MIN = 512  # below, counting is quicker than remembering
_PART_TOKENS = 2

_PARALLEL_TOKENS = constant("responses", "parallel_call_tokens")
_UNPUBLISHED_TOKENS = constant("responses", "unpublished_passage_tokens")
_CHARS_PER_TOKEN = constant("responses", "encrypted_chars_per_token")
# Whose encrypted thoughts were measured. Those of o3-mini hold less than was thought.
_MEASURED = re.compile(r"gpt-5|o4-mini")
_PLAIN_ROLES = frozenset({"system", "user", "assistant", "developer"})
_PLAIN_FIELDS = frozenset({"type", "role", "content", "id", "status"})
_TEXTS = frozenset({"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"})
# Items whose content the provider keeps, or made by itself, by the allowance that may stand for each.
_KEPT = {
    "item_reference": ("conversation", "what it refers to is kept at the provider"),
    "compaction": ("conversation", "what was compacted is encrypted, and its tokens are not told"),
    "compaction_summary": ("conversation", "what was compacted is encrypted, and its tokens are not told"),
    "web_search_call": ("web_search", "what an earlier search found is kept at the provider"),
    "file_search_call": ("file_search", "what an earlier search found is kept at the provider"),
    "code_interpreter_call": ("code_execution", "what an earlier run left is kept at the provider"),
    "image_generation_call": ("server_tool", "a picture made earlier is kept at the provider"),
    "computer_call": ("server_tool", "what it adds to the prompt is not published"),
    "computer_call_output": ("server_tool", "what it adds to the prompt is not published"),
    "mcp_list_tools": ("mcp", "how other servers' tools are shown to the model is not published"),
    "mcp_call": ("mcp", "how other servers' tools are shown to the model is not published"),
    "mcp_approval_request": ("mcp", "how other servers' tools are shown to the model is not published"),
    "mcp_approval_response": ("mcp", "what is approved runs at the provider"),
}
# Items that the caller's own side answers, counted as they stand.
_OWN_CALLS = frozenset(
    {"function_call", "custom_tool_call", "tool_search_call", "local_shell_call", "shell_call"}
)
_OWN_RESULTS = frozenset(
    {"function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output"}
)
_OWN_TOOLS = frozenset({"tool_search_output", "additional_tools"})


class ItemCount(NamedTuple):
    """One item's tokens: exact where ``plain``; with the surcharge on top an upper bound."""

    tokens: int
    surcharge_tokens: int = 0
    plain: bool = False
    image_tokens: int = 0
    fixed: bool = False  # it goes by tenant or model: an allowance, a picture or thoughts are in it


class ItemRule(NamedTuple):
    """How one request's items are counted."""

    model: str
    encoding: Encoding
    harmony: bool  # the model reasons, and takes its messages by channel
    allowances: Allowances


_counts: CountCache[ItemCount] = CountCache()


def count_item(raw: msgspec.Raw, place: int, rule: ItemRule) -> ItemCount:
    """Count one item for a model whose tokenizer is public.

    Raises: Uncountable for a part without a known bound; RequestShapeError for an item of no known shape.
    """
    content = bytes(raw)
    if len(content) < _CACHED_BYTES_MIN:
        return _count(parse_unique(raw, f"input[{place}]"), f"input[{place}]", rule)
    key = _counts.key_of(content, f"{rule.encoding[0]}{rule.harmony:d}".encode())
    known = _counts.get(key)
    if known is None:
        known = _count(parse_unique(raw, f"input[{place}]"), f"input[{place}]", rule)
        if not known.fixed:
            _counts.put(key, known)
    return known


def count_text(text: str, role: str, rule: ItemRule) -> ItemCount:
    """Count a message that is one text."""
    return _message({"role": role, "content": text}, "input", rule)


def texts_of(item: Any, param: str) -> list[str]:
    """The texts of an item, for a rule of words. Raises: Uncountable, RequestShapeError."""
    kind = _kind_of(item, param)
    if kind == "message":
        return [
            _text_of(part, f"{param}.content") for part in _parts(item.get("content"), f"{param}.content")
        ]
    if kind in ("function_call", "custom_tool_call"):
        return [str(item.get(name) or "") for name in ("name", "arguments", "input")]
    if kind in ("function_call_output", "custom_tool_call_output"):
        return [_text_of(part, f"{param}.output") for part in _parts(item.get("output"), f"{param}.output")]
    if kind == "reasoning":
        return []
    raise Uncountable(f"{param}.{kind}", "items of this type have no known bound")


def allow_kept(item: Any, param: str, allowances: Allowances) -> int:
    """Return what stands for the parts of an item whose tokens are not in the body. Raises: Uncountable."""
    kind = _kind_of(item, param)
    if kind in _KEPT:
        allowed, why = _KEPT[kind]
        return allowances.tokens_for(allowed, part=f"{param}.{kind}", why=why)
    if kind == "reasoning":
        return 0 if item.get("content") else _thoughts(item, param, allowances)
    if kind in _OWN_TOOLS:
        refuse_served(item.get("tools"), f"{param}.tools")
    tokens = 0
    for name in ("content", "output"):
        for part in _parts(item.get(name), f"{param}.{name}"):
            if part["type"] not in _TEXTS:
                tokens += _allowed_part(part, f"{param}.{name}", allowances)
    return tokens


def may_be_kept(item: dict[str, Any]) -> bool:
    """Tell of an item that was counted as it stands whether a provider may have more of it: thoughts under an id."""
    return item.get("type") == "reasoning" and bool(item.get("id") or item.get("encrypted_content"))


def refuse_served(tools: Any, param: str) -> None:
    """Refuse tools that come in an unusual place and do not run at the caller's. Raises: Uncountable."""
    for place, tool in enumerate(tools if isinstance(tools, list) else []):
        if not isinstance(tool, dict):
            continue  # no provider takes one that is no object
        if tool.get("type") == "namespace":
            refuse_served(tool.get("tools"), f"{param}[{place}].tools")
        elif tool.get("type") not in ("function", "custom"):
            raise Uncountable(f"{param}[{place}]", "only the caller's own tools may stand here")


def _count(item: Any, param: str, rule: ItemRule) -> ItemCount:
    kind = _kind_of(item, param)
    if kind == "message":
        return _message(item, param, rule)
    if kind == "reasoning":
        return _reasoning(item, param, rule)
    if kind in _OWN_CALLS:
        return _call(item, rule)
    if kind in _OWN_RESULTS:
        return _parts_count(item.get("output"), f"{param}.output", rule, _RESULT_TOKENS, quoted=True)
    if kind in _OWN_TOOLS:
        tools = item.get("tools")
        refuse_served(tools, f"{param}.tools")
        listed = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        text = namespace_text([tool for tool in listed if tool.get("type") == "function"])
        rest = compact([tool for tool in listed if tool.get("type") != "function"])
        return ItemCount(_RESULT_TOKENS + count(text + rest, rule.encoding), _UNPUBLISHED_TOKENS)
    if kind in _KEPT:
        return ItemCount(allow_kept(item, param, rule.allowances), fixed=True)
    raise Uncountable(f"{param}.{kind}", "items of this type have no known bound")


def _message(item: dict[str, Any], param: str, rule: ItemRule) -> ItemCount:
    role = item.get("role")
    if not isinstance(role, str):
        raise RequestShapeError(f"{param} must have a role", f"{param}.role")
    tokens = MESSAGE_TOKENS + count(role, rule.encoding)
    tokens += CHANNEL_TOKENS if rule.harmony and role == "assistant" else 0
    found = _parts_count(item.get("content"), f"{param}.content", rule, tokens)
    return found._replace(
        plain=found.plain and role in _PLAIN_ROLES and item.keys() <= _PLAIN_FIELDS,
        surcharge_tokens=found.surcharge_tokens + _PART_TOKENS * bool(item.keys() - _PLAIN_FIELDS),
    )


def _parts_count(content: Any, param: str, rule: ItemRule, tokens: int, *, quoted: bool = False) -> ItemCount:
    """Count the parts of a message or of a result; a result may be shown as a string of JSON, in quotes."""
    surcharge = pictures = 0
    plain, fixed = not quoted, False
    for part in _parts(content, param):
        if part["type"] in _TEXTS:
            text = _text_of(part, param)
            exact = count_exact(text, rule.encoding)
            plain = plain and exact is not None
            known = byte_bound(text) if exact is None else exact
            tokens += max(known, count(compact(text), rule.encoding)) if quoted else known
            continue
        plain, fixed = False, True
        if part["type"] == "input_image":
            pictures += _picture(part, param, rule)
            surcharge += _PART_TOKENS
        elif (pages := _pages_of(part)) and (page_tokens := _page_tokens(rule)):
            tokens += pages * PAGE_TEXT_TOKENS
            pictures += pages * page_tokens
        else:
            tokens += _allowed_part(part, param, rule.allowances)
    return ItemCount(tokens + pictures, surcharge, plain, pictures, fixed)


def _call(item: dict[str, Any], rule: ItemRule) -> ItemCount:
    """A call of the caller's own tools. Its name is written again before its result."""
    name = str(item.get("name") or item.get("type"))
    head = (
        _CALL_TOKENS + 2 * count(name, rule.encoding) + count(str(item.get("namespace") or ""), rule.encoding)
    )
    given = [item.get(field) for field in ("arguments", "input", "action")]
    texts = [one if isinstance(one, str) else compact(one) for one in given if one is not None]
    return ItemCount(
        head + sum(count(text, rule.encoding) for text in texts), 0 if rule.harmony else _PARALLEL_TOKENS
    )


def _reasoning(item: dict[str, Any], param: str, rule: ItemRule) -> ItemCount:
    shown = item.get("content")
    if shown:
        return _parts_count(shown, f"{param}.content", rule, MESSAGE_TOKENS + 1 + CHANNEL_TOKENS)._replace(
            plain=False
        )
    sealed = item.get("encrypted_content")
    if isinstance(sealed, str) and sealed and _MEASURED.match(rule.model):
        return ItemCount(MESSAGE_TOKENS + 1 + CHANNEL_TOKENS - (-len(sealed) // _CHARS_PER_TOKEN), fixed=True)
    return ItemCount(_thoughts(item, param, rule.allowances), fixed=True)


def _thoughts(item: dict[str, Any], param: str, allowances: Allowances) -> int:
    why = "what was thought is kept at the provider, or encrypted in a way whose size is not known"
    return allowances.tokens_for("reasoning_state", part=f"{param}.reasoning", why=why)


def _picture(part: dict[str, Any], param: str, rule: ItemRule) -> int:
    url, detail = part.get("image_url"), part.get("detail")
    image_rule = image_rule_of(rule.model)
    if not isinstance(url, str) or image_rule is None:
        return _allowed_part(part, param, rule.allowances)
    return image_tokens(image_rule, url, detail if isinstance(detail, str) else "auto")


def _pages_of(part: dict[str, Any]) -> int | None:
    """The pages of a PDF that came with the request; None where it is none, or they cannot be told."""
    data = part.get("file_data") if part["type"] == "input_file" else None
    head, mark, content = data.partition(";base64,") if isinstance(data, str) else ("", "", "")
    return pdf_pages(content) if mark and head == "data:application/pdf" else None


def _page_tokens(rule: ItemRule) -> int:
    """What the picture of a page costs at most, which goes to the model beside its text; 0 where that is not known."""
    image_rule = image_rule_of(rule.model)
    return image_tokens(image_rule, "", "high") if image_rule else 0


def _allowed_part(part: dict[str, Any], param: str, allowances: Allowances) -> int:
    """What a tenant lets stand for a part that is not text. Raises: Uncountable."""
    kind = part["type"]
    if part.get("file_id") is not None:
        return allowances.tokens_for(
            "file_id", part=f"{param}.file_id", why="the file is kept at the provider"
        )
    match kind:
        case "input_image":
            why = "what a picture costs on this model is not known"
            return allowances.tokens_for("image_url", part=f"{param}.image_url", why=why)
        case "input_file":
            why = "the tokens of a document depend on its pages"
            return allowances.tokens_for("document", part=f"{param}.input_file", why=why)
        case "input_audio":
            why = "the tokens of a recording depend on its length"
            return allowances.tokens_for("audio", part=f"{param}.input_audio", why=why)
    raise Uncountable(f"{param}.{kind}", "parts of this type have no known bound")


def _parts(content: Any, param: str) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    if not isinstance(content, list):
        raise RequestShapeError(f"{param} must be a string or a list of parts", param)
    for number, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise RequestShapeError(f"{param}[{number}] is no content part", f"{param}[{number}]")
    return content


def _text_of(part: dict[str, Any], param: str) -> str:
    text = part.get("refusal" if part["type"] == "refusal" else "text")
    if part["type"] not in _TEXTS:
        raise Uncountable(f"{param}.{part['type']}", "parts of this type have no known bound")
    if not isinstance(text, str):
        raise RequestShapeError(f"{param} has a part whose text is none", param)
    return text


def _kind_of(item: Any, param: str) -> str:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    if not isinstance(kind, str):
        raise RequestShapeError(f"{param} must be an object", param)
    return kind
