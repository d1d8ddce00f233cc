from __future__ import annotations

from typing import Any

import pytest

from metering.errors import UsageError
from metering.usage import Usage
from metering.usage_anthropic import (
    merge_reports,
    prompt_from_stream,
    usage_elsewhere,
    usage_from_anthropic,
    usage_from_stream,
)


def report(fresh: int = 10, output: int = 5, **fields: Any) -> dict[str, Any]:
    return {"input_tokens": fresh, "output_tokens": output, **fields}


def split(minutes: int, hour: int) -> dict[str, int]:
    return {"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour}


@pytest.mark.parametrize("raw", [None, {}, {"input_tokens": 7}, {"output_tokens": None}])
def test_no_output_reported_is_no_report(raw: Any) -> None:
    assert usage_from_anthropic(raw) is None


def test_zero_is_a_report() -> None:
    assert usage_from_anthropic(report(0, 0)) == Usage()


def test_the_cache_stands_beside_the_input() -> None:
    raw = report(cache_read_input_tokens=100, cache_creation_input_tokens=30, cache_creation=split(10, 20))
    found = usage_from_anthropic(raw)
    assert found == Usage(
        input_tokens=10,
        cache_read_tokens=100,
        cache_write_5m_tokens=10,
        cache_write_1h_tokens=20,
        output_tokens=5,
    )
    assert found.all_input_tokens == 140


@pytest.mark.parametrize(
    ("total", "lifetimes", "written"),
    [
        (None, None, (0, 0)),
        (None, split(3, 4), (3, 4)),
        (30, None, (30, 0)),
        (30, split(10, 20), (10, 20)),
        (30, split(0, 20), (0, 30)),
        (30, split(5, 20), (10, 20)),
        (30, split(5, 50), (0, 30)),
        (0, split(5, 5), (0, 0)),
        (0, split(0, 5), (0, 0)),
        (30, "odd", (30, 0)),
    ],
)
def test_the_total_written_rules_and_its_lifetimes_share_it_out(
    total: int | None, lifetimes: Any, written: tuple[int, int]
) -> None:
    found = usage_from_anthropic(report(cache_creation_input_tokens=total, cache_creation=lifetimes))
    assert found is not None
    assert (found.cache_write_5m_tokens, found.cache_write_1h_tokens) == written


def test_thinking_is_part_of_the_output() -> None:
    found = usage_from_anthropic(report(output=50, output_tokens_details={"thinking_tokens": 30}))
    assert found == Usage(input_tokens=10, output_tokens=20, reasoning_tokens=30)
    more = usage_from_anthropic(report(output=5, output_tokens_details={"thinking_tokens": 30}))
    assert more == Usage(input_tokens=10, reasoning_tokens=5)


def test_server_tools_with_a_fee_are_extras() -> None:
    used = {
        "web_search_requests": 3,
        "web_fetch_requests": 2,
        "dig_requests": 1,
        "idle_requests": 0,
        "other": 9,
    }
    found = usage_from_anthropic(report(server_tool_use=used))
    assert found is not None
    assert found.extras == (("web_search", 3), ("dig", 1))


def test_a_streams_end_replaces_its_start_figure_by_figure() -> None:
    start = report(100, 4, cache_read_input_tokens=55_096, cache_creation_input_tokens=0)
    end = {"output_tokens": 8, "input_tokens": 181, "cache_read_input_tokens": 0, "server_tool_use": None}
    assert usage_from_stream(start, end) == Usage(input_tokens=181, output_tokens=8)
    assert usage_from_stream(start, {"output_tokens": 8}) == Usage(
        input_tokens=100, cache_read_tokens=55_096, output_tokens=8
    )
    assert merge_reports(None, None) == {}


def test_a_stream_that_broke_off_has_only_its_prompt() -> None:
    start = report(100, 4, cache_read_input_tokens=7, output_tokens_details={"thinking_tokens": 2})
    assert usage_from_stream(start, None) is usage_from_stream(start, {"stop": 1}) is None
    assert prompt_from_stream(start) == Usage(input_tokens=100, cache_read_tokens=7)
    assert prompt_from_stream(None) is prompt_from_stream({"output_tokens": 1}) is None


def test_sub_calls_are_billed_each() -> None:
    compacted = report(
        220,
        8,
        iterations=[
            report(
                100,
                125,
                type="compaction",
                cache_creation_input_tokens=55_096,
                cache_creation=split(55_096, 0),
            ),
            report(220, 8, type="message"),
            "odd",
        ],
    )
    assert usage_from_anthropic(compacted) == Usage(
        input_tokens=320, cache_write_5m_tokens=55_096, output_tokens=133
    )
    assert usage_elsewhere(compacted) == []


def test_another_models_sub_call_is_told_apart() -> None:
    advised = report(
        2390,
        121,
        output_tokens_details={"thinking_tokens": 28},
        iterations=[
            report(1128, 110, type="message"),
            report(2518, 22, type="advisor_message", model="claude-opus-4-8"),
            report(1262, 11, type="message"),
        ],
    )
    own = usage_from_anthropic(advised)
    assert own == Usage(input_tokens=2390, output_tokens=93, reasoning_tokens=28)
    assert usage_elsewhere(advised) == [("claude-opus-4-8", Usage(input_tokens=2518, output_tokens=22))]
    assert usage_elsewhere(None) == []


@pytest.mark.parametrize(
    "raw",
    [
        report(-1),
        report(output=1.5),
        report(10**9),
        {"output_tokens": 5},
        report(cache_read_input_tokens="7"),
        report(iterations=[{"input_tokens": 1}]),
    ],
)
def test_a_report_that_cannot_be_true_is_an_error(raw: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        usage_from_anthropic(raw)


def test_a_sub_call_that_names_the_calls_own_model_is_in_the_sum_already() -> None:
    told = report(
        input_tokens=30,
        output_tokens=3,
        iterations=[
            {"type": "message", "model": "claude-x", "input_tokens": 10, "output_tokens": 1},
            {"type": "message", "model": "claude-x", "input_tokens": 20, "output_tokens": 2},
        ],
    )
    usage = usage_from_anthropic(told)
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (30, 3)
    assert usage_elsewhere(told) == []


def test_code_and_fetching_have_no_fee_of_their_own() -> None:
    used = {"web_fetch_requests": 2, "code_execution_requests": 3, "web_search_requests": 1}
    usage = usage_from_anthropic(report(server_tool_use=used))
    assert usage is not None
    assert usage.extras == (("web_search", 1),)
