"""What a tenant lets stand for a part of a request that nobody can bound: a fixed number of tokens, by kind of part."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from metering.errors import Uncountable

# Every kind of part that an allowance can be set for; docs/providers.md says what each covers.
KINDS = frozenset(
    (
        *("file_id", "file_search", "document", "image_url", "audio", "video"),
        *("web_search", "web_fetch", "code_execution", "mcp", "server_tool"),
        *("conversation", "hosted_prompt", "reasoning_state", "cached_content"),
    )
)


# More than any model's context holds: beyond it an allowance says nothing.
ALLOWANCE_TOKENS_MAX = 10_000_000


def how_to_allow(kind: str) -> str:
    """Say which call of the control API lets a part of this kind be served."""
    example = f'{{"allowances": {{"{kind}": tokens}}}}'
    return f"to serve it at a fixed number of tokens, set the allowance with PATCH /api/v1/settings {example}"


class Allowances:
    """A tenant's allowances, tokens per part by kind; none of them unless the tenant set it."""

    __slots__ = ("_tokens_by_kind",)

    def __init__(self, tokens_by_kind: Mapping[str, int] = MappingProxyType({})) -> None:
        unknown = tokens_by_kind.keys() - KINDS
        if unknown:
            raise ValueError(f"no such kind of part: {', '.join(sorted(unknown))}")
        self._tokens_by_kind = tokens_by_kind

    def find(self, kind: str) -> int | None:
        """Return the tokens that stand for a part of this kind; None where the tenant has set none."""
        assert kind in KINDS, kind
        return self._tokens_by_kind.get(kind)

    def tokens_for(self, kind: str, *, part: str, why: str) -> int:
        """Return the tokens that stand for a part of this kind.

        Raises: Uncountable, naming the part, where the tenant has set none.
        """
        tokens = self.find(kind)
        if tokens is None:
            raise Uncountable(part, f"{why}; {how_to_allow(kind)}", kind=kind)
        return tokens


NONE = Allowances()
