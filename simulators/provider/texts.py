"""Texts and token ids as embeddings and the older completions take them, and the simulator's own count of them."""

from __future__ import annotations

# A text, or how many token ids stand for one.
Text = str | int


def read_texts(given: object) -> list[Text] | None:
    """Read a text, a list of them, token ids or lists of those; None for anything else."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        return None
    if all(_is_id(one) for one in given):
        return [len(given)]
    texts: list[Text] = []
    for one in given:
        if isinstance(one, list) and one and all(_is_id(part) for part in one):
            texts.append(len(one))
        elif isinstance(one, str):
            texts.append(one)
        else:
            return None
    return texts


def count_texts(texts: list[Text]) -> int:
    """Count the words of texts, and token ids one by one."""
    return sum(text if isinstance(text, int) else len(text.split()) for text in texts)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
