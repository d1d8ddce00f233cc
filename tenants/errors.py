"""What the control plane cannot do, as one tree.

TenantsError
├── InvalidInput     a value that cannot be accepted; names its field
│   └── UnsafeUpstream   a base URL that leads where it must not
├── AlreadyExists    a name or id that is taken
├── WrongState       the row's state does not allow it (revoked, archived)
└── RolesMissing     a database role named in the settings does not exist
"""

from __future__ import annotations


class TenantsError(Exception):
    """Root of what the control plane cannot do; ``code`` is the API code, log field and metric label."""

    code = "tenants_error"


class InvalidInput(TenantsError):
    """A value that cannot be accepted."""

    code = "invalid_request"

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class UnsafeUpstream(InvalidInput):
    """A base URL that leads where it must not."""

    code = "unsafe_upstream"


class AlreadyExists(TenantsError):
    """A name or id that is taken."""

    code = "already_exists"


class WrongState(TenantsError):
    """The row's state does not allow it."""

    code = "wrong_state"


class RolesMissing(TenantsError):
    """A database role named in the settings does not exist."""

    code = "database_roles_missing"
