"""Settings of a hub: flag beats environment beats file beats default. All problems are told at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from hub.core.errors import SetupError

PREFIX = "HUB_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. `sources` says where each value came from."""

    data_dir: Path
    database_url: str
    redis_url: str | None = None
    """None: the embedded queue server."""
    secret_key: str | None = field(default=None, repr=False)
    """Fernet keys, comma-separated; the first encrypts. None: the file secret.key of the data directory."""
    bind: str = "127.0.0.1:8000"
    public_url: str = ""
    """The address users and other systems reach this hub at; by default made from `bind`."""
    workers: int = 2
    web_workers: int = 2
    pull_every_s: float = 60.0
    log_level: str = "INFO"
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def host(self) -> str:
        return self.bind.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.bind.rpartition(":")[2])

    @property
    def address(self) -> str:
        """Where a person opens this hub."""
        return self.public_url.rstrip("/") or f"http://{self.bind}"


def load_settings(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags (None: not given), the environment, the file that HUB_CONFIG names, and defaults.

    `HUB_SECRET_KEY_FILE` and the like read a value from a file. Raises SetupError listing everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    given: dict[str, tuple[Any, str]] = {}
    path = (flags or {}).get("config") or environ.get("HUB_CONFIG")
    for name, value in _file_values(Path(str(path)) if path else None, problems).items():
        given[name] = (value, str(path))
    for name in _NAMES:
        value = _from_environment(environ, PREFIX + name.upper(), problems)
        if value is not None:
            given[name] = (value, PREFIX + name.upper())
    for name, value in (flags or {}).items():
        if name in _NAMES and value is not None:
            given[name] = (value, f"--{name.replace('_', '-')}")
    values = {name: _converted(name, value, source, problems) for name, (value, source) in given.items()}
    if problems:
        raise SetupError(" ".join(problems))
    data_dir = values.setdefault("data_dir", Path("var")).absolute()
    values["data_dir"] = data_dir
    values.setdefault("database_url", f"sqlite:///{data_dir / 'hub.sqlite3'}")
    return Settings(**values, sources={name: source for name, (_, source) in given.items()})


def prepare_data_dir(settings: Settings) -> Path:
    """Make the data directory, readable by its owner alone. Raises SetupError with the remedy."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = settings.data_dir / f".writable-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as failure:
        raise SetupError(
            f"The data directory {settings.data_dir} cannot be written ({failure.strerror}). "
            "Free some space, change its owner, or name another one with HUB_DATA_DIR."
        ) from failure
    return settings.data_dir


def secret_keys(settings: Settings) -> list[str]:
    """The keys that encrypt credentials: the configured ones, or the file that is made once, for its owner alone."""
    if settings.secret_key:
        return [key.strip() for key in settings.secret_key.split(",") if key.strip()]
    path = prepare_data_dir(settings) / "secret.key"
    if not path.exists():
        _create_once(path, Fernet.generate_key().decode())
    return path.read_text().split()


def _create_once(path: Path, text: str) -> None:
    """Two processes may start at once: whoever links its file first wins, and the other reads that one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _file_values(path: Path | None, problems: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        problems.append(f"The configuration file {path} cannot be read ({failure.strerror}); check HUB_CONFIG.")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        problems.append(f"The configuration file {path} is no valid TOML: {failure}.")
        return {}
    for name in [name for name in values if name not in _NAMES]:
        close = get_close_matches(name, _NAMES, n=1)
        hint = f" Did you mean “{close[0]}”?" if close else f" Known are {', '.join(sorted(_NAMES))}."
        problems.append(f"The configuration file {path} sets “{name}”, which does not exist.{hint}")
        del values[name]
    return values


def _from_environment(environ: Mapping[str, str], name: str, problems: list[str]) -> str | None:
    if environ.get(name):
        return environ[name]
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as failure:
        problems.append(f"{name}_FILE names {path}, which cannot be read ({failure.strerror}).")
        return None


def _converted(name: str, value: Any, source: str, problems: list[str]) -> Any:
    try:
        return _CONVERTERS.get(name, str)(value)
    except ValueError as failure:
        shown = "" if name == "secret_key" else f" is “{value}”, which"
        problems.append(f"{source}{shown} {failure}.")
        return None


def _database_url(value: Any) -> str:
    text = str(value)
    for scheme in ("postgresql://", "postgres://"):
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text.removeprefix(scheme)
    if not text.startswith(("postgresql+psycopg://", "sqlite:///")):
        raise ValueError("is no database address; use postgresql://user:password@host/name or sqlite:///file")
    return text


def _redis_url(value: Any) -> str:
    if urlsplit(str(value)).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("is no queue server address; use redis://host:6379/0, rediss:// or unix://")
    return str(value)


def _bind(value: Any) -> str:
    host, _, port = str(value).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("is no address to listen on; use host:port such as 127.0.0.1:8000")
    return str(value)


def _public_url(value: Any) -> str:
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no web address; use https://hub.example.com")
    return str(value)


def _count(value: Any) -> int:
    number = int(value)
    if not 1 <= number <= 64:
        raise ValueError("must be 1 to 64")
    return number


def _seconds(value: Any) -> float:
    number = float(value)
    if number <= 0:
        raise ValueError("must be a number of seconds above 0")
    return number


def _workers(value: Any) -> int:
    number = _count(value)
    if number < 2:
        raise ValueError("must be at least 2, so that one slow connection never delays the others")
    return number


_NAMES = frozenset(item.name for item in fields(Settings)) - {"sources"}
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "data_dir": lambda value: Path(str(value)).expanduser(),
    "database_url": _database_url,
    "redis_url": _redis_url,
    "bind": _bind,
    "public_url": _public_url,
    "workers": _workers,
    "web_workers": _count,
    "pull_every_s": _seconds,
}
