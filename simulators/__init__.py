"""Stand-ins for the outside world: an LLM provider today, other services beside it later.

A simulator is evidence from outside. It imports nothing of ours, so that its books agreeing with ours means
that two implementations of the published rules agree, and not that one mistake was made once.
"""

from __future__ import annotations
