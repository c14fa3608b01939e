"""New keys for the secrets at rest: a new one encrypts from now on, and all that is stored is encrypted anew.

The keys of the file change in one step, with the old ones kept behind the new one, so that every process can read
everything at every moment; an interruption leaves secrets under both, and rotating again goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.config import replace_secret_keys, secret_keys
from hub.core import audit
from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.errors import RuleBroken
from hub.core.secrets import key_id
from hub.plugin_host import PluginState
from hub.sync.models import Connection

if TYPE_CHECKING:
    from hub.bootstrap import Hub

# The model, its key and the column of every secret at rest.
_PLACES: tuple[tuple[Any, Any, Any], ...] = (
    (Connection, Connection.id, Connection.settings),
    (Connection, Connection.id, Connection.tokens),
    (PluginState, PluginState.name, PluginState.settings),
)


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did: the key that encrypts now, how many secrets it took over, the keys that were dropped."""

    key: str
    secrets: int
    dropped: tuple[str, ...]


def rotate(hub: Hub, *, actor: str = "system") -> Rotated:
    """A new first key, and all secrets under it. Raises RuleBroken where the keys are not the hub's to change."""
    given = hub.settings.secret_key
    if given and set(keys_in_use(hub)) <= {hub.cipher.key_ids[0]}:
        raise RuleBroken(
            "HUB_SECRET_KEY is set outside the hub. Put a new key before the present one, with a comma between them "
            "(`hub secrets key` prints one), start every process anew, then rotate again.",
            code="keys-set-outside",
        )
    if not given:
        replace_secret_keys(hub.settings, [Fernet.generate_key().decode(), *secret_keys(hub.settings)])
    hub.cipher.encrypt({})  # reads the keys anew
    total = 0
    for model, key, column in _PLACES:

        def work(session: Session, model: Any = model, key: Any = key, column: Any = column) -> int:
            return _rotate_some(hub, session, model, key, column)

        while number := hub.transact(work):
            total += number
    now = hub.cipher.key_ids[0]
    dropped = () if given else _drop_old(hub)
    hub.transact(lambda session: audit.note(session, "rotate", "secrets", None, key=now, secrets=total), actor=actor)
    return Rotated(now, total, dropped)


def keys_in_use(hub: Hub) -> Counter[str]:
    """How many secrets are under each key, by the key's id. Raises SetupError for a secret that no key opens."""
    with hub.read() as session:
        return Counter(hub.cipher.key_id_of(text) for text in _stored(session))


def _stored(session: Session) -> Iterator[str]:
    for _, _, column in _PLACES:
        yield from session.scalars(select(column).where(column.is_not(None), column != ""))


def _rotate_some(hub: Hub, session: Session, model: Any, key: Any, column: Any) -> int:
    """Encrypt a block anew, each only if it still is what was read. Returns how many there were."""
    first = hub.cipher.key_ids[0]
    rows = session.execute(select(key, column).where(column.is_not(None), column != "").order_by(key)).all()
    old = [row for row in rows if hub.cipher.key_id_of(row[1]) != first][:MAX_ROWS_PER_TRANSACTION]
    for identity, text in old:
        session.execute(
            update(model)
            .where(key == identity, column == text)
            .values({column.key: hub.cipher.rotated(text)})
            .execution_options(synchronize_session=False)
        )
    return len(old)


def _drop_old(hub: Hub) -> tuple[str, ...]:
    """Forget keys that open nothing any more, but for the last one: a process may have read it a moment ago."""
    keys, used = list(secret_keys(hub.settings)), keys_in_use(hub)
    kept = [key for position, key in enumerate(keys) if position < 2 or key_id(key) in used]
    dropped = tuple(key_id(key) for key in keys if key not in kept)
    if dropped:
        replace_secret_keys(hub.settings, kept)
    return dropped
