"""Runs the demo: a fresh data directory, the processes, the story, and what to look at."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final

from hub.bootstrap import build_hub
from hub.config import Settings, load_settings
from hub.core import clock
from hub.core.errors import HubError, RuleBroken
from hub.demo.firm import LOGINS, PASSWORD
from hub.demo.processes import Processes, free_address
from hub.demo.story import STEPS, Story
from hub.services.queue_server import stop_queue_server
from hub.services.running import refuse_running

MARK: Final = "demo.json"
COUNTRY, CURRENCY = "GB", "GBP"
USUAL: Final = "127.0.0.1:8000"
PULL_EVERY_S: Final = 2

Say = Callable[[str], None]


def run_demo(folder: Path, *, bind: str | None, stay: bool, say: Say) -> dict[str, Any]:
    """The whole demo in a data directory of its own, started afresh. Returns {"ok", "steps", "counts", ...}.

    bind: the address that somebody wants; without one, the usual one or, if that is taken, a free port.
    stay: when every step held, go on until SIGINT or SIGTERM. Raises RuleBroken for a folder that is no demo's,
    SetupError when the processes do not start or a demo runs there already.
    """
    started = time.monotonic()
    start_afresh(folder)
    bind = free_address(USUAL) if bind is None else free_address(bind, only=True)
    settings = load_settings({"data_dir": str(folder), "bind": bind}, environ={})
    flags = ("--data-dir", str(folder))
    answer: dict[str, Any] = {"ok": False, "address": settings.public_url, "steps": [], "counts": {}}
    with _interrupted_by_sigterm(), Processes(folder, _environ(settings)) as processes:
        say(f"A whole firm in {folder}")
        vendors = start_everything(processes, settings)
        hub = build_hub(settings)
        try:
            story = Story(hub, folder, settings.public_url, flags, vendors, processes.broken)
            answer["ok"] = tell(story, say, answer["steps"])
            answer["counts"] = story.counts
        finally:
            hub.close()
        answer["seconds"] = round(time.monotonic() - started, 1)
        if answer["ok"]:
            show(answer, say, stay=stay)
        if answer["ok"] and stay:
            _stay(processes, say)
    return answer


def start_afresh(folder: Path) -> None:
    """Empty the folder of an earlier demo. Raises RuleBroken for any other folder with something in it."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise RuleBroken(f"{folder} holds something else than a demo. Choose another with --data-dir.")
        refuse_running(folder)
        stop_queue_server(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / MARK).write_text(json.dumps({"demo": True}), encoding="utf-8")


def start_everything(processes: Processes, settings: Settings) -> dict[str, dict[str, Any]]:
    """The two stand-ins and the hub. Returns what each stand-in says: {"url", "settings"}."""
    given = ("--country", COUNTRY, "--currency", CURRENCY, "--json")
    started = {
        connector: processes.start(
            f"sandbox-{connector}",
            ["sandbox", connector, "--state", str(settings.data_dir / f"{connector}-sandbox.json"), *given],
        )
        for connector in ("salesforce", "quickbooks")
    }
    hub = processes.start("up", ["up"])
    vendors = {name: processes.first_line(f"sandbox-{name}", process) for name, process in started.items()}
    processes.wait_for(settings.public_url, "up", hub)
    vendors["salesforce"]["settings"].setdefault("currency", CURRENCY)
    return vendors


def tell(story: Story, say: Say, steps: list[dict[str, Any]]) -> bool:
    """Each step with a line; the first that does not hold ends the story."""
    for number, (title, step) in enumerate(STEPS, start=1):
        started = time.monotonic()
        try:
            text, ok = step(story), True
        except HubError as failure:
            text, ok = str(failure), False
        seconds = round(time.monotonic() - started, 1)
        steps.append({"step": title, "ok": ok, "text": text, "seconds": seconds})
        say(f"{number} of {len(STEPS)}  {'✓' if ok else '✗'} {title}: {text}  ({seconds} s)")
        if not ok:
            return False
    return True


def show(answer: dict[str, Any], say: Say, *, stay: bool) -> None:
    """The address, the logins, and what to click first."""
    say(f"Every step held, in {answer['seconds']} seconds.")
    if not stay:
        return
    address = answer["address"]
    say("")
    say(f"Open {address} and log in; the password of all is {PASSWORD}")
    first = {
        "admin": f"{address}/connections: is every system in step?",
        "finance": f"{address}/reconciliation: Compare now, and see both sides equal to the cent",
        "consultant": f"{address}/time?week={_week_of_time()}: a week of time",
        "partner": f"{address}/partner/deals: the deal that became a project",
    }
    for role, (email, _) in LOGINS.items():
        say(f"  {role:<11} {email:<31} {first[role]}")
    say("")
    say("It stays up until Ctrl-C.")


def _week_of_time() -> str:
    """A whole week of last month, which the story imports time for: this week is still empty."""
    return f"{clock.now().date().replace(day=1) - timedelta(days=14):%G-W%V}"


def _environ(settings: Settings) -> dict[str, str]:
    return {
        "HUB_DATA_DIR": str(settings.data_dir),
        "HUB_BIND": settings.bind,
        "HUB_PULL_EVERY_S": str(PULL_EVERY_S),
    }


def _stay(processes: Processes, say: Say) -> None:
    with suppress(KeyboardInterrupt):
        while not processes.broken():
            time.sleep(0.5)
    say("Ending ...")


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, with everything it started."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
