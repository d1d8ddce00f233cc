from __future__ import annotations

from typing import Any

import pytest

from metering.errors import UsageError
from metering.responses_usage import searches_of, usage_from_responses
from metering.usage import Usage

REPORT = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 32},
    "total_tokens": 150,
}


def test_a_report_is_decomposed() -> None:
    assert usage_from_responses(REPORT) == Usage(
        input_tokens=30,
        cache_read_tokens=60,
        cache_write_5m_tokens=10,
        output_tokens=18,
        reasoning_tokens=32,
    )


def test_absent_is_not_zero() -> None:
    assert usage_from_responses(None) is None
    assert usage_from_responses({}, items=[("web_search_call", "search")]) is None
    with pytest.raises(UsageError):
        usage_from_responses({"input_tokens": -1, "output_tokens": 1})


def test_each_search_is_billed_and_no_page_that_is_opened() -> None:
    items = [
        *(("reasoning", ""), ("web_search_call", "search"), ("web_search_call", "")),
        *(("web_search_call", "open_page"), ("web_search_call", "find_in_page"), ("message", "")),
        *(("file_search_call", ""), ("code_interpreter_call", ""), ("code_interpreter_call", "")),
    ]
    usage = usage_from_responses(REPORT, items=items)
    assert usage is not None
    assert usage.extras == (("code_interpreter", 1), ("file_search", 1), ("web_search", 2))


@pytest.mark.parametrize(("told", "extras"), [(3, (("web_search", 3),)), (0, ())])
def test_what_the_provider_counts_itself_is_believed(told: int, extras: tuple[Any, ...]) -> None:
    usage = usage_from_responses(REPORT, items=[("web_search_call", "search")], searches=told)
    assert usage is not None
    assert usage.extras == extras


def test_searches_that_are_counted_elsewhere_stay() -> None:
    usage = usage_from_responses({**REPORT, "server_tool_use": {"web_search_requests": 2}})
    assert usage is not None
    assert usage.extras == (("web_search", 2),)


def test_how_many_searches_the_provider_counted() -> None:
    assert searches_of({"web_search": {"num_requests": 2}}) == 2
    assert searches_of({"web_search": {}}) is None
    assert searches_of({"image_gen": {}}) is None
    assert searches_of(None) is None
    with pytest.raises(UsageError):
        searches_of({"web_search": {"num_requests": "two"}})
