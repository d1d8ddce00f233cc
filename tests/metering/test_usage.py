from __future__ import annotations

from metering.usage import TOKEN_BUCKETS, Usage


def test_sides_add_up_over_all_buckets() -> None:
    usage = Usage(**{f"{name}_tokens": 10**place for place, name in enumerate(TOKEN_BUCKETS)})
    assert usage.all_input_tokens + usage.all_output_tokens == 111_111_111
    assert dict(usage.tokens()) == {name: 10**place for place, name in enumerate(TOKEN_BUCKETS)}
    assert usage.all_output_tokens == sum(
        10 ** TOKEN_BUCKETS.index(name) for name in ("output", "reasoning", "audio_output")
    )


def test_nothing_used_is_all_zero() -> None:
    assert (Usage().all_input_tokens, Usage().all_output_tokens, Usage().extras) == (0, 0, ())
