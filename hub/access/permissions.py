"""Who may do what: roles, and the permissions they hold. A plugin adds its own by the `permissions` hook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hub.plugin_host import Hooks


class Role(StrEnum):
    ADMIN = "admin"
    FINANCE = "finance"
    MANAGER = "manager"
    CONSULTANT = "consultant"
    PARTNER = "partner"


ROLE_TEXTS: Final = {
    Role.ADMIN: "Sets the hub up: connections, plugins, users, and everything the firm's own people may do.",
    Role.FINANCE: "Drafts and issues invoices, sees payments, and compares with accounting.",
    Role.MANAGER: "Plans projects and approves time.",
    Role.CONSULTANT: "Records time.",
    Role.PARTNER: "Works for a partner: sees what plugins show to partners, and nothing of the firm's own.",
}


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that may be allowed. name: "invoices.issue". title: what a person reads. roles: who holds it."""

    name: str
    title: str
    roles: tuple[str, ...]


_A, _F, _M, _C = Role.ADMIN, Role.FINANCE, Role.MANAGER, Role.CONSULTANT

CORE_PERMISSIONS: Final = (
    Permission("companies.read", "See the firm's companies", (_A, _F, _M, _C)),
    Permission("companies.write", "Change the firm's companies", (_A,)),
    Permission("clients.read", "See clients and contacts", (_A, _F, _M, _C)),
    Permission("clients.write", "Add and change clients and contacts", (_A, _F, _M)),
    Permission("projects.read", "See projects and tasks", (_A, _F, _M, _C)),
    Permission("projects.write", "Add and change projects and tasks", (_A, _M)),
    Permission("people.read", "See people", (_A, _F, _M, _C)),
    Permission("people.write", "Add and change people", (_A, _M)),
    Permission("services.read", "See services", (_A, _F, _M, _C)),
    Permission("services.write", "Add and change services", (_A, _F)),
    Permission("rates.read", "See rates", (_A, _F, _M)),
    Permission("rates.write", "Add rates", (_A, _F)),
    Permission("time.own", "Record one's own time", (_A, _F, _M, _C)),
    Permission("time.read", "See everybody's time", (_A, _F, _M)),
    Permission("time.write", "Record time for others", (_A, _M)),
    Permission("time.approve", "Approve time and send it back", (_A, _M)),
    Permission("invoices.read", "See invoices and payments", (_A, _F, _M)),
    Permission("invoices.write", "Draft invoices and delete drafts", (_A, _F)),
    Permission("invoices.issue", "Issue invoices", (_A, _F)),
    Permission("payments.write", "Enter payments", (_A, _F)),
    Permission("imports.write", "Import other systems' exports", (_A, _F, _M)),
    Permission("connections.read", "See connections, runs and links", (_A, _F)),
    Permission("connections.write", "Set up connections", (_A,)),
    Permission("connections.sync", "Start a run, and retry what is parked", (_A, _F)),
    Permission("reconciliation.read", "Compare invoices and payments with accounting", (_A, _F)),
    Permission("plugins.read", "See plugins", (_A,)),
    Permission("plugins.write", "Enable and disable plugins", (_A,)),
    Permission("users.read", "See users", (_A,)),
    Permission("users.write", "Add and change users", (_A,)),
    Permission("keys.own", "Create and revoke one's own API keys", tuple(Role)),
    Permission("keys.write", "See and revoke everybody's API keys", (_A,)),
    Permission("audit.read", "Read the audit log", (_A,)),
    Permission("metrics.read", "Read the hub's metrics", (_A,)),
)


def all_permissions(hooks: Hooks) -> list[Permission]:
    """The core's permissions and the enabled plugins', in a fixed order."""
    contributed: Iterable[Permission] = (permission for _, permission in hooks.collect("permissions"))
    return [*CORE_PERMISSIONS, *contributed]


def permissions_of(role: str, hooks: Hooks) -> frozenset[str]:
    """The names of what a role may do."""
    return frozenset(permission.name for permission in all_permissions(hooks) if role in permission.roles)
