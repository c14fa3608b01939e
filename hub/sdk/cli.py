"""What a plugin's commands import: the hub, how commands print, and the users they name."""

from __future__ import annotations

from hub.access.users import create_user, find_user
from hub.cli.output import json_option, print_fields, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub

__all__ = [
    "ACTOR",
    "create_user",
    "find_user",
    "json_option",
    "pass_hub",
    "print_fields",
    "print_record",
    "print_rows",
]
