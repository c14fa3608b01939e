"""New keys for the secrets at rest: all of them under the new one, whatever happens meanwhile."""

from __future__ import annotations

import dataclasses
import stat

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

import hub.rotation as rotation
from hub.bootstrap import build_hub
from hub.config import KEY_FILE, secret_keys
from hub.core.audit import AuditEntry
from hub.core.errors import RuleBroken
from hub.plugin_host import PluginState
from hub.rotation import keys_in_use, rotate
from hub.sync.models import Connection


@pytest.fixture
def stored(hub):
    """A connection with settings and tokens, and a plugin with settings: three secrets."""

    def work(session):
        session.add(
            Connection(
                name="books",
                plugin="fake",
                connector="fake",
                settings=hub.cipher.encrypt({"token": "s3cret"}),
                tokens=hub.cipher.encrypt({"refresh_token": "r1"}),
                account_id="1",
            )
        )
        session.add(
            PluginState(name="alerts", enabled=False, status="", reason="", settings=hub.cipher.encrypt({"url": "u"}))
        )

    hub.transact(work)
    return hub


def opened(hub):
    with hub.read() as session:
        settings, tokens = session.execute(select(Connection.settings, Connection.tokens)).one()
        plugin = session.scalar(select(PluginState.settings).where(PluginState.name == "alerts"))
    return [hub.cipher.decrypt(text) for text in (settings, tokens, plugin)]


SECRETS = [{"token": "s3cret"}, {"refresh_token": "r1"}, {"url": "u"}]


def test_every_secret_is_under_the_new_key_and_reads_as_before(stored):
    (before,) = keys_in_use(stored)

    rotated = rotate(stored)

    assert (rotated.key != before, rotated.secrets) == (True, 3)
    assert keys_in_use(stored) == {rotated.key: 3}
    assert opened(stored) == SECRETS


def test_another_process_goes_on(stored, settings):
    other = build_hub(settings, plugins={})
    rotate(stored)
    assert opened(other) == SECRETS
    other.close()


def test_the_key_before_stays_for_one_more_rotation_and_then_goes(stored):
    (first,) = keys_in_use(stored)
    assert rotate(stored).dropped == ()
    assert rotate(stored).dropped == (first,)
    assert len(secret_keys(stored.settings)) == 2
    assert opened(stored) == SECRETS


def test_the_key_file_is_for_the_hub_alone(stored):
    rotate(stored)
    assert stat.S_IMODE((stored.settings.data_dir / KEY_FILE).stat().st_mode) == 0o600


def test_a_rotation_that_was_broken_off_goes_on(stored, monkeypatch):
    once = [rotation._rotate_some]

    def fail_after_the_first(hub, session, model, key, column):
        if not once:
            raise RuntimeError("killed")
        return once.pop()(hub, session, model, key, column)

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_rotate_some", fail_after_the_first)
        with pytest.raises(RuntimeError):
            rotate(stored)
    assert opened(stored) == SECRETS  # under two keys now

    rotated = rotate(stored)
    assert keys_in_use(stored) == {rotated.key: 3}


def test_keys_that_are_set_outside_are_changed_outside(stored, settings):
    (old,) = secret_keys(stored.settings)
    outside = build_hub(dataclasses.replace(settings, secret_key=old), plugins={})
    with pytest.raises(RuleBroken, match="Put a new key before the present one"):
        rotate(outside)
    outside.close()

    new = Fernet.generate_key().decode()
    outside = build_hub(dataclasses.replace(settings, secret_key=f"{new},{old}"), plugins={})
    assert rotate(outside).secrets == 3
    assert len(keys_in_use(outside)) == 1
    outside.close()


def test_the_log_of_changes_names_the_key_by_its_id_only(stored):
    rotated = rotate(stored, actor="user:ada")
    with stored.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "rotate")).one()
    assert (entry.actor, entry.changes["key"]) == ("user:ada", rotated.key)
    assert secret_keys(stored.settings)[0] not in str(entry.changes)
