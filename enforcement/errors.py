"""What enforcement cannot do, as one tree.

EnforcementError
├── EnforcementUnavailable   Redis is away, too slow, or its shard is closed: fail closed
│   ├── ShardClosed          the shard is not the one we knew; closed until rebuilt
│   ├── OutcomeUnknown       a call was sent and no reply came: it may have taken effect
│   └── OutOfMemory          Redis is above its maxmemory
├── CredentialError          a credential cannot be decrypted with the keys in hand
└── UnsafeRedis              Redis is set up so that it could lose budgets; refuse to start
"""

from __future__ import annotations


class EnforcementError(Exception):
    """Root of what enforcement cannot do."""

    code = "enforcement_error"


class EnforcementUnavailable(EnforcementError):
    """Redis is away, too slow, or closed: nothing may be dispatched."""

    code = "enforcement_unavailable"


class ShardClosed(EnforcementUnavailable):
    """The shard's data is not what this connection knew; it opens again once rebuilt from the ledger."""


class OutcomeUnknown(EnforcementUnavailable):
    """A call was sent and no reply came in time: it may have taken effect, so only the same hold id may be repeated."""


class OutOfMemory(EnforcementUnavailable):
    """Redis is above its maxmemory: nothing new may begin, what is open can still end."""


class CredentialError(EnforcementError):
    """A credential cannot be decrypted with the keys in hand."""

    code = "credential_unreadable"


class UnsafeRedis(EnforcementError):
    """Redis is set up so that it could lose budgets (``maxmemory-policy`` other than ``noeviction``)."""

    code = "unsafe_redis"
