"""`hub doctor`: what is wrong with this hub, and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
import redis
from sqlalchemy import func, select

from hub import migrations
from hub.bootstrap import Hub
from hub.cli.output import json_option, print_json
from hub.cli.session import pass_hub
from hub.config import unknown_variables
from hub.core import clock
from hub.core.errors import HubError, SetupError
from hub.core.outbox import Link
from hub.notify.mail import MailNotSent, check_mail
from hub.plugin_host import PluginState
from hub.rotation import keys_in_use
from hub.sync.mending import repairs_of
from hub.sync.models import Connection, Lease

LEAST_FREE_MB = 500


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was looked at. ok: None for something that is not wrong but worth knowing."""

    name: str
    ok: bool | None
    text: str


@click.command()
@json_option
@pass_hub
def doctor(hub: Hub, as_json: bool) -> None:
    """Look at settings, disk, database, keys, queue, plugins and connections. Exit code 1 if something is wrong."""
    signs = list(examine(hub))
    if as_json:
        print_json({"ok": all(sign.ok is not False for sign in signs), "signs": signs})
    else:
        for sign in signs:
            click.echo(f"{ {True: 'ok  ', False: 'MEND', None: 'note'}[sign.ok] } {sign.name}: {sign.text}")
    if any(sign.ok is False for sign in signs):
        raise click.exceptions.Exit(1)


def examine(hub: Hub) -> Iterator[Sign]:
    """Look at everything, each in its own try: one that fails does not hide the others."""
    looks: tuple[Callable[[Hub], Iterator[Sign]], ...] = (
        _settings,
        _mail,
        _disk,
        _database,
        _keys,
        _queue,
        _plugins,
        _connections,
        _parked,
    )
    for look in looks:
        try:
            yield from look(hub)
        except HubError as failure:
            yield Sign(look.__name__.strip("_"), False, str(failure))
        except Exception as failure:
            yield Sign(look.__name__.strip("_"), False, f"could not be looked at ({type(failure).__name__}).")


def _settings(hub: Hub) -> Iterator[Sign]:
    for name, near in unknown_variables():
        # One with a near name was meant for the hub; another one may be somebody else's.
        yield Sign("settings", False if near else None, f"nothing reads {name}." + (f" Use {near}." if near else ""))


def _mail(hub: Hub) -> Iterator[Sign]:
    if not hub.settings.mail_url:
        yield Sign("mail", None, "none is sent: alerts are on the pages only. Set HUB_MAIL_URL to have them mailed.")
        return
    try:
        check_mail(hub.settings)
    except MailNotSent as failure:
        yield Sign("mail", False, str(failure))
    else:
        yield Sign("mail", True, f"alerts are sent as {hub.settings.mail_from}.")


def _disk(hub: Hub) -> Iterator[Sign]:
    free = shutil.disk_usage(hub.settings.data_dir).free // 1_000_000
    enough = free >= LEAST_FREE_MB
    yield Sign(
        "disk", enough, f"{free:,} MB free for {hub.settings.data_dir}." + ("" if enough else " Free some space.")
    )


def _database(hub: Hub) -> Iterator[Sign]:
    problems = migrations.check(hub)
    kind = "SQLite" if hub.database.is_sqlite else "PostgreSQL"
    yield Sign("database", not problems, " ".join(problems) or f"{kind}, up to date.")


def _keys(hub: Hub) -> Iterator[Sign]:
    used = keys_in_use(hub)  # raises SetupError if one of the secrets cannot be opened
    old = {key: number for key, number in used.items() if key != hub.cipher.key_ids[0]}
    if old:
        number = sum(old.values())
        yield Sign("keys", None, f"{number:,} stored credentials are under an old key; run `hub secrets rotate`.")
    else:
        yield Sign("keys", True, "open all stored credentials.")


def _queue(hub: Hub) -> Iterator[Sign]:
    from rq import Worker

    try:
        hub.redis.ping()
    except redis.RedisError as failure:
        raise SetupError(f"The queue server cannot be reached ({failure}). Check HUB_REDIS_URL.") from failure
    yield Sign("queue", True, "the queue server answers.")
    workers = Worker.count(connection=hub.redis)
    with hub.read() as session:
        until = session.scalar(select(Lease.lease_until).where(Lease.name == "scheduler"))
    scheduled = until is not None and until > clock.now()
    if not workers and not scheduled:
        yield Sign("processes", None, "no worker and no scheduler run; `hub up` starts them.")
        return
    yield Sign("workers", workers >= 2, f"{workers} at work." + ("" if workers >= 2 else " At least two are needed."))
    yield Sign("scheduler", scheduled, "at work." if scheduled else "not running; start `hub scheduler`.")


def _plugins(hub: Hub) -> Iterator[Sign]:
    with hub.read() as session:
        states = session.scalars(select(PluginState).order_by(PluginState.name)).all()
    for state in states:
        if state.status in ("failed", "incompatible", "quarantined"):
            yield Sign("plugin", False, f"{state.name} is {state.status}: {state.reason}")
    enabled = [state.name for state in states if state.enabled]
    yield Sign("plugins", True, f"enabled: {', '.join(enabled) or 'none'}.")


def _connections(hub: Hub) -> Iterator[Sign]:
    with hub.read() as session:
        repairs = repairs_of(session, connectors=hub.connector_classes(), kinds=hub.kinds)
        connections = session.scalars(select(Connection).order_by(Connection.name)).all()
    for one in connections:
        wrong = [each.text for each in repairs if each.connection == one.name]
        yield Sign(f"connection {one.name}", not wrong, " ".join(wrong) or f"{one.state}, {one.account_name}.")


def _parked(hub: Hub) -> Iterator[Sign]:
    with hub.read() as session:
        parked = session.scalar(
            select(func.count()).select_from(Link).where(Link.parked.is_not(None), Link.ignored.is_(None))
        )
    if parked:
        yield Sign("parked", False, f"{parked:,} records wait for a person: see `hub deadletter list`.")
    else:
        yield Sign("parked", True, "no record waits for a person.")
