from __future__ import annotations

from typing import Any

from tests.metering.chats import bound


def test_an_earlier_answer_may_bring_the_mark_of_its_channel() -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hi"}]
    # 3 to prime, 5 a message, 1 for each that could bring a mark, and the least margin
    assert bound("gpt-5", turns).tokens == 3 + 2 * 5 + 2 * 1 + 1


def test_a_grammar_is_explained_beside_being_shown() -> None:
    def custom(**format: Any) -> list[dict[str, Any]]:
        return [{"type": "custom", "custom": {"name": "f", "format": format}}]

    assert (
        bound("gpt-5", tools=custom(grammar={})).tokens - bound("gpt-5", tools=custom(type="g")).tokens > 100
    )
