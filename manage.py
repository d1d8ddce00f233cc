"""Django's command line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run a management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from tenants.reach import work_over_all_tenants

    work_over_all_tenants()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
