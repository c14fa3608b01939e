"""Settings: from flags, the environment, a TOML file and defaults, in this order; all that is wrong is said at once.

| name           | environment        | default                                                           |
| data_dir       | HUB_DATA_DIR       | ./var; made when missing                                          |
| database_url   | HUB_DATABASE_URL   | SQLite, hub.sqlite3 in the data directory                         |
| redis_url      | HUB_REDIS_URL      | none: the embedded queue server                                   |
| secret_key     | HUB_SECRET_KEY     | secret.key in the data directory, made once                       |
| bind           | HUB_BIND           | 127.0.0.1:8000                                                    |
| public_url     | HUB_PUBLIC_URL     | http:// and the bind address                                      |
| workers        | HUB_WORKERS        | 2                                                                 |
| web_workers    | HUB_WEB_WORKERS    | 2                                                                 |
| pull_every_s   | HUB_PULL_EVERY_S   | 60: seconds between two looks at what changed in another system   |
| backfill_share | HUB_BACKFILL_SHARE | 50: percent of a connection's calls that reading the past may take |
| mail_url       | HUB_MAIL_URL       | none: no mail. smtp://user:password@host:587 or smtps://host:465  |
| mail_from      | HUB_MAIL_FROM      | psa-hub@ and the host of the public address                       |
| strict_plugins | HUB_STRICT_PLUGINS | no: a plugin that cannot be loaded is set aside. yes: an error    |
| (the file)     | HUB_CONFIG         | none; its keys are the names above                                |

What may be secret can stand in a file of its own: HUB_SECRET_KEY_FILE, HUB_DATABASE_URL_FILE, HUB_REDIS_URL_FILE,
HUB_MAIL_URL_FILE. A relative path in the TOML file starts at the file's folder.
"""

from __future__ import annotations

import difflib
import os
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hub.core.errors import SetupError

NAMES = (
    "data_dir",
    "database_url",
    "redis_url",
    "secret_key",
    "bind",
    "public_url",
    "workers",
    "web_workers",
    "pull_every_s",
    "backfill_share",
    "mail_url",
    "mail_from",
    "strict_plugins",
)
MAY_BE_SECRET = ("database_url", "redis_url", "secret_key", "mail_url")
KEY_FILE = "secret.key"

_MOST_WORKERS = 64
_YES, _NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off", "")
_OF_TESTS = ("HUB_TEST_DATABASES", "HUB_CHROMIUM")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one installation of the hub is told. Values are checked by `load_settings`, not here.

    redis_url: None means the embedded server. secret_key: Fernet keys, comma-separated, the first encrypts; empty
    means the key file. origins: where each given value comes from ("flag", "environment", or the file's path).
    """

    data_dir: Path = field(default_factory=lambda: Path("var").absolute())
    database_url: str = field(default="", repr=False)
    redis_url: str | None = field(default=None, repr=False)
    secret_key: str = field(default="", repr=False)
    bind: str = "127.0.0.1:8000"
    public_url: str = ""
    workers: int = 2
    web_workers: int = 2
    pull_every_s: float = 60.0
    backfill_share: int = 50
    mail_url: str = field(default="", repr=False)
    mail_from: str = ""
    strict_plugins: bool = False
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{self.data_dir / 'hub.sqlite3'}")
        if not self.public_url:
            object.__setattr__(self, "public_url", _url_of(self.host, self.port))
        if not self.mail_from:
            object.__setattr__(self, "mail_from", f"psa-hub@{urlsplit(self.public_url).hostname}")

    @property
    def host(self) -> str:
        """The address to listen on, without brackets."""
        return self.bind.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.bind.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was found. where: how a sentence about it begins. folder: what a relative path starts at."""

    value: Any
    where: str
    origin: str
    folder: Path = field(default_factory=Path.cwd)


def load_settings(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; the data directory exists afterwards.

    flags: values by name, and "config" for the file; None means not given. Raises one SetupError naming every problem.
    """
    problems: list[str] = []
    given = _gather(flags or {}, os.environ if environ is None else environ, problems)
    values: dict[str, Any] = {}
    for name, found in given.items():
        try:
            values[name] = _READERS[name](found)
        except ValueError as failure:
            problems.append(f"{found.where}: {failure}")
    if not problems:
        settings = Settings(**values, origins={name: found.origin for name, found in given.items()})
        problems += _make_data_dir(settings.data_dir)
    if problems:
        raise SetupError(problems[0] if len(problems) == 1 else "\n".join(["Several settings are wrong:", *problems]))
    return settings


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """The HUB_ variables that nothing reads, each with the known name that is spelled most alike, or with ""."""
    variables = [f"HUB_{name.upper()}" for name in (*NAMES, "config")]
    known = [*variables, *(f"HUB_{name.upper()}_FILE" for name in MAY_BE_SECRET)]
    given = os.environ if environ is None else environ
    strange = sorted(name for name in given if name.startswith("HUB_") and name not in {*known, *_OF_TESTS})
    return [(name, next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.8)), "")) for name in strange]


def secret_keys(settings: Settings) -> tuple[str, ...]:
    """The Fernet keys, the first of which encrypts: as configured, or from the key file, which is made once."""
    if settings.secret_key:
        return _split_keys(settings.secret_key)
    path = settings.data_dir / KEY_FILE
    try:
        if not path.exists():
            _write_once(path, Fernet.generate_key())
        return _split_keys(path.read_text())
    except OSError as failure:
        raise SetupError(
            f"The key file {path} cannot be read or made ({failure.strerror}). "
            "Give the hub's user the right to it, or set HUB_SECRET_KEY."
        ) from failure


def replace_secret_keys(settings: Settings, keys: Sequence[str]) -> None:
    """Write the key file anew, in one step: whoever reads it sees the old keys or the new ones."""
    path = settings.data_dir / KEY_FILE
    beside = path.with_name(f"{KEY_FILE}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


# Where values come from ------------------------------------------------------------------------------------------


def _gather(flags: Mapping[str, Any], environ: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    """The value that counts for each name: flag before environment before file."""
    found: dict[str, _Given] = {}
    path = flags.get("config") or environ.get("HUB_CONFIG")
    if path:
        found |= _from_file(Path(path).expanduser().absolute(), problems)
    found |= _from_environment(environ, problems)
    for name, value in flags.items():
        if value is None or name == "config":
            continue
        if name in NAMES:
            found[name] = _Given(value, f"--{name.replace('_', '-')}", "flag")
        else:
            problems.append(_unknown(name, "flag"))
    return found


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    found = {}
    for name in NAMES:
        variable = f"HUB_{name.upper()}"
        if environ.get(variable):  # an empty variable counts as none, as compose files set them
            found[name] = _Given(environ[variable], variable, "environment")
        secret_path = environ.get(f"{variable}_FILE") if name in MAY_BE_SECRET else None
        if secret_path and name in found:
            problems.append(f"{variable} and {variable}_FILE are both set. Keep one of them.")
        elif secret_path:
            _add_secret(found, name, Path(secret_path).expanduser(), f"{variable}_FILE", "environment", problems)
    return found


def _from_file(path: Path, problems: list[str]) -> dict[str, _Given]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        problems.append(f"The configuration file {path} cannot be read ({failure.strerror}). Check HUB_CONFIG.")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        problems.append(f"The configuration file {path} is not TOML ({failure}). Mend it there.")
        return {}
    found: dict[str, _Given] = {}
    for key, value in content.items():
        name = key.removesuffix("_file")
        where = f"{path}, {key}"
        if key in NAMES:
            found[key] = _Given(value, where, str(path), path.parent)
        elif name in MAY_BE_SECRET and name in content:
            problems.append(f"{path}: {name} and {key} are both set. Keep one of them.")
        elif name in MAY_BE_SECRET:
            _add_secret(found, name, path.parent / str(value), where, str(path), problems)
        else:
            problems.append(f"{path}: {_unknown(key, 'setting')}")
    return found


def _add_secret(found: dict[str, _Given], name: str, path: Path, where: str, origin: str, problems: list[str]) -> None:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as failure:
        reason = getattr(failure, "strerror", None) or "it is not text"
        problems.append(f"{where}: the file {path} cannot be read ({reason}). Check the path and its permissions.")
        return
    if text:
        found[name] = _Given(text, where, origin)
    else:
        problems.append(f"{where}: the file {path} is empty. Write the value into it.")


def _unknown(name: str, noun: str) -> str:
    near = difflib.get_close_matches(name, NAMES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"There is: {', '.join(NAMES)}."
    return f"there is no {noun} called {name}. {remedy}"


# What each value must be; a ValueError is the rest of the sentence about it --------------------------------------


def _text(given: _Given) -> str:
    if not isinstance(given.value, str) or not given.value.strip():
        raise ValueError("write a text in quotes.")
    return given.value.strip()


def _read_data_dir(given: _Given) -> Path:
    path = given.value if isinstance(given.value, Path) else Path(_text(given))
    return given.folder / path.expanduser()


def _read_database_url(given: _Given) -> str:
    # The value may hold a password, so it is never quoted.
    remedy = "write postgresql://user:password@host/database or sqlite:////path/to/file."
    text = _text(given)
    for prefix in ("postgresql://", "postgres://"):
        if text.startswith(prefix):
            text = "postgresql+psycopg://" + text.removeprefix(prefix)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"this is not a database address; {remedy}") from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.database in (None, "", ":memory:"):
            raise ValueError("the hub is several processes, so SQLite needs a file; write sqlite:////path/to/file.")
        return f"sqlite:///{given.folder / str(url.database)}"
    if url.drivername != "postgresql+psycopg":
        raise ValueError(f"{url.drivername} is no database the hub runs on; {remedy}")
    if not url.database:
        raise ValueError(f"the address names no database; {remedy}")
    return text


def _read_redis_url(given: _Given) -> str:
    text = _text(given)
    parts = urlsplit(text)
    try:
        good = bool(parts.hostname) and parts.port != 0 if parts.scheme in ("redis", "rediss") else bool(parts.path)
    except ValueError:  # a port that is no number
        good = False
    if parts.scheme not in ("redis", "rediss", "unix") or not good:
        raise ValueError(
            "this is not the address of a Redis or Valkey server; write redis://host:6379/0, rediss://host:6379/0 "
            "or unix:///path/to/socket, or leave it out for the embedded server."
        )
    return text


def _read_secret_key(given: _Given) -> str:
    text = _text(given)
    for key in _split_keys(text):
        try:
            Fernet(key)
        except ValueError:
            raise ValueError(
                "this is not a Fernet key (32 bytes, url-safe base64; several are separated by commas). Restore the "
                "one the data was encrypted with, or leave it out to have one made in the data directory."
            ) from None
    return text


def _read_bind(given: _Given) -> str:
    text = _text(given)
    host, colon, port = text.rpartition(":")
    is_bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or not host.strip("[]") or is_bare_ipv6 or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(f"“{text}” is not address:port; write for example 127.0.0.1:8000, 0.0.0.0:80 or [::1]:8000.")
    return text


def _read_public_url(given: _Given) -> str:
    text = _text(given)
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"“{text}” is not a web address; write for example https://hub.example.com.")
    return text.rstrip("/")


def _read_workers(given: _Given) -> int:
    text = str(given.value).strip()
    if isinstance(given.value, bool) or not text.isdecimal() or not 2 <= int(text) <= _MOST_WORKERS:
        raise ValueError(f"“{text}” is not a number of workers; write a whole number from 2 to {_MOST_WORKERS}.")
    return int(text)


def _read_web_workers(given: _Given) -> int:
    text = str(given.value).strip()
    if isinstance(given.value, bool) or not text.isdecimal() or not 1 <= int(text) <= _MOST_WORKERS:
        raise ValueError(f"“{text}” is not a number of web processes; write a whole number from 1 to {_MOST_WORKERS}.")
    return int(text)


def _read_yes_or_no(given: _Given) -> bool:
    text = str(given.value).strip().lower()
    if text not in (*_YES, *_NO):
        raise ValueError(f"“{text}” is neither yes nor no.")
    return text in _YES


def _read_mail_url(given: _Given) -> str:
    # The value may hold a password, so it is never quoted.
    text = _text(given)
    parts = urlsplit(text)
    try:
        good = (
            parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0 and not parts.path.strip("/")
        )
    except ValueError:  # a port that is no number
        good = False
    if not good:
        raise ValueError(
            "this is not the address of a mail server; write smtp://user:password@host:587 or smtps://host:465."
        )
    return text


def _read_mail_from(given: _Given) -> str:
    text = _text(given)
    name, _, host = parseaddr(text)[1].rpartition("@")
    if not name or not host or "\n" in text:
        raise ValueError(f"“{text}” is not a mail address; write for example PSA Hub <hub@example.com>.")
    return text


def _read_seconds(given: _Given) -> float:
    text = str(given.value).strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:
        raise ValueError(f"“{text}” is not a pause; write a number of seconds from 1 to 86400.")
    return seconds


def _read_percent(given: _Given) -> int:
    text = str(given.value).strip()
    percent = int(text) if text.isdecimal() else 0
    if isinstance(given.value, bool) or not 1 <= percent <= 100:
        raise ValueError(f"“{text}” is no share; write a whole number of percent from 1 to 100.")
    return percent


_READERS: Mapping[str, Callable[[_Given], Any]] = {
    "data_dir": _read_data_dir,
    "database_url": _read_database_url,
    "redis_url": _read_redis_url,
    "secret_key": _read_secret_key,
    "bind": _read_bind,
    "public_url": _read_public_url,
    "workers": _read_workers,
    "web_workers": _read_web_workers,
    "pull_every_s": _read_seconds,
    "backfill_share": _read_percent,
    "mail_url": _read_mail_url,
    "mail_from": _read_mail_from,
    "strict_plugins": _read_yes_or_no,
}


# Files -----------------------------------------------------------------------------------------------------------


def _make_data_dir(path: Path) -> list[str]:
    """Make the directory, for its owner only. Returns what is wrong with it."""
    remedy = "Set HUB_DATA_DIR to a folder the hub may write to."
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        return [f"The data directory {path} is a file. {remedy}"]
    except OSError as failure:
        return [f"The data directory {path} cannot be made ({failure.strerror}). {remedy}"]
    if not os.access(path, os.W_OK | os.X_OK):
        return [f"The data directory {path} cannot be written to. {remedy}"]
    return []


def _write_once(path: Path, content: bytes) -> None:
    """Write a file of mode 600 that other processes see whole or not at all; the first of several writers wins."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _split_keys(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _url_of(host: str, port: int) -> str:
    """How a browser on this machine reaches what listens there."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
