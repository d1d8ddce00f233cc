"""Messages that take several samplings: searches at the provider, a summary of the prompt, another model's advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulators.provider.script import Script

RESULT_TOKENS: Final = 200  # what one search adds to the prompt
SEARCH: Final = "web_search_"
ADVISOR: Final = "advisor_"
COMPACTION: Final = "compact_"


@dataclass(frozen=True, slots=True)
class Sampling:
    """One sampling as ``iterations`` lists it; a model is named where it is another one."""

    kind: str  # message, compaction, advisor_message
    input_tokens: int
    output_tokens: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The samplings of one call; those of the call's own model are billed as one sum."""

    first_tokens: int
    searches: int = 0
    compaction: Sampling | None = None
    advice: Sampling | None = None

    @property
    def prompts(self) -> list[int]:
        """The prompt of each sampling that answers: what was found comes on top, and is billed again each time."""
        return [self.first_tokens + place * RESULT_TOKENS for place in range(self.searches + 1)]

    @property
    def prompt_tokens(self) -> int:
        """All prompts that answer, as the usage sums them up: a summary's is not among them."""
        return sum(self.prompts)

    def samplings(self, generated_tokens: int) -> list[Sampling]:
        """List every sampling in order; the last one says what there is to say."""
        *earlier, last = self.prompts
        found = [Sampling("message", prompt) for prompt in earlier]
        found += [one for one in (self.compaction, self.advice) if one is not None]
        return [*found, Sampling("message", last, generated_tokens)]


def plan_rounds(script: Script, body: dict[str, object], *, prompt_tokens: int) -> Rounds | None:
    """Decide which samplings a request takes; None for a single one. Only what it asks for happens."""
    search, advisor = _tool(body, SEARCH), _tool(body, ADVISOR)
    most = search.get("max_uses") if search else 0
    searches = script.searches if most is None else min(script.searches, most if isinstance(most, int) else 0)
    compaction = advice = None
    if script.compacted and _compacts(body):
        compaction = Sampling("compaction", prompt_tokens, script.compacted)
    if script.advised and advisor:
        advice = Sampling("advisor_message", prompt_tokens, script.advised, str(advisor.get("model")))
    if not (searches or compaction or advice or script.iterations):
        return None
    return Rounds(prompt_tokens, searches, compaction, advice)


def _tool(body: dict[str, object], kind: str) -> dict[str, object] | None:
    tools = body.get("tools")
    listed = tools if isinstance(tools, list) else []
    return next(
        (tool for tool in listed if isinstance(tool, dict) and str(tool.get("type")).startswith(kind)), None
    )


def _compacts(body: dict[str, object]) -> bool:
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    listed = edits if isinstance(edits, list) else []
    return any(isinstance(edit, dict) and str(edit.get("type")).startswith(COMPACTION) for edit in listed)
