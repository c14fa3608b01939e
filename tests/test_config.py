"""Settings: which source wins, what each value may be, and that all that is wrong is said at once."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from hub.config import Settings, load_settings, secret_keys, unknown_variables
from hub.core.errors import SetupError

A_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="  # of the right shape


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def problems(flags=None, **environ) -> str:
    with pytest.raises(SetupError) as caught:
        load_settings(flags, {name: str(value) for name, value in environ.items()})
    return str(caught.value)


# Where a value comes from --------------------------------------------------------------------------------------------


def test_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({}, {})
    assert settings.data_dir == tmp_path / "var"
    assert settings.database_url == f"sqlite:///{tmp_path}/var/hub.sqlite3"
    assert settings.redis_url is None
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 2)
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.data_dir.is_dir()


def test_flag_beats_environment_beats_file_beats_default(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text('data_dir = "data"\nbind = "127.0.0.1:1001"\nworkers = 3\npublic_url = "https://file.example"\n')
    environ = {"HUB_CONFIG": str(file), "HUB_BIND": "127.0.0.1:1002", "HUB_WORKERS": "4"}
    settings = load_settings({"bind": "127.0.0.1:1003", "workers": None}, environ)
    assert settings.bind == "127.0.0.1:1003"  # flag
    assert settings.workers == 4  # environment; a flag of None was not given
    assert settings.public_url == "https://file.example"
    assert settings.data_dir == tmp_path / "data"  # a relative path in the file starts at the file
    assert settings.origins == {
        "bind": "flag",
        "workers": "environment",
        "public_url": str(file),
        "data_dir": str(file),
    }


def test_an_empty_variable_counts_as_none(data_dir):
    assert load_settings({"data_dir": data_dir}, {"HUB_REDIS_URL": "", "HUB_BIND": ""}).bind == "127.0.0.1:8000"


def test_a_secret_can_stand_in_a_file_of_its_own(tmp_path, data_dir):
    (tmp_path / "database").write_text("postgres://hub:pw@db/hub\n")
    (tmp_path / "redis").write_text("redis://queue:6379/1\n")
    config = tmp_path / "hub.toml"
    config.write_text('redis_url_file = "redis"\n')
    environ = {"HUB_DATABASE_URL_FILE": str(tmp_path / "database"), "HUB_CONFIG": str(config)}
    settings = load_settings({"data_dir": data_dir}, environ)
    assert settings.database_url == "postgresql+psycopg://hub:pw@db/hub"
    assert settings.redis_url == "redis://queue:6379/1"


# What a value may be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://u:p@h/hub", "postgresql+psycopg://u:p@h/hub"),
        ("postgres://u:p@h:5433/hub?sslmode=require", "postgresql+psycopg://u:p@h:5433/hub?sslmode=require"),
        ("postgresql+psycopg://u@h/hub", "postgresql+psycopg://u@h/hub"),
        ("sqlite:////srv/hub.sqlite3", "sqlite:////srv/hub.sqlite3"),
    ],
)
def test_addresses_of_databases(data_dir, given, used):
    assert load_settings({"data_dir": data_dir}, {"HUB_DATABASE_URL": given}).database_url == used


@pytest.mark.parametrize("url", ["redis://h", "rediss://:pw@h:6380/2", "unix:///run/queue.sock?db=3"])
def test_addresses_of_queue_servers(data_dir, url):
    assert load_settings({"data_dir": data_dir}, {"HUB_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("bind", "host", "port", "url"),
    [
        ("0.0.0.0:80", "0.0.0.0", 80, "http://127.0.0.1:80"),
        ("[::1]:8000", "::1", 8000, "http://[::1]:8000"),
        ("hub.internal:8000", "hub.internal", 8000, "http://hub.internal:8000"),
    ],
)
def test_where_to_listen(data_dir, bind, host, port, url):
    settings = load_settings({"data_dir": data_dir, "bind": bind}, {})
    assert (settings.host, settings.port, settings.public_url) == (host, port, url)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("HUB_DATABASE_URL", "mysql://u:pw-1@h/hub", "mysql is no database the hub runs on; write postgresql://"),
        ("HUB_DATABASE_URL", "pw-1", "not a database address; write postgresql://"),
        ("HUB_DATABASE_URL", "postgresql://u:pw-1@h", "names no database; write postgresql://"),
        ("HUB_DATABASE_URL", "postgresql://u:pw-1@h:port/hub", "not a database address; write postgresql://"),
        ("HUB_DATABASE_URL", "sqlite://", "several processes, so SQLite needs a file"),
        ("HUB_DATABASE_URL", "sqlite:///:memory:", "several processes, so SQLite needs a file"),
        ("HUB_REDIS_URL", "http://:pw-1@h", "not the address of a Redis or Valkey server; write redis://"),
        ("HUB_REDIS_URL", "redis://:pw-1@h:port", "not the address of a Redis or Valkey server; write redis://"),
        ("HUB_SECRET_KEY", "pw-1", "not a Fernet key"),
        ("HUB_STRICT_PLUGINS", "perhaps", "neither yes nor no"),
        ("HUB_SECRET_KEY", f"{A_KEY},pw-1", "not a Fernet key"),
        ("HUB_BIND", "8000", "“8000” is not address:port; write for example 127.0.0.1:8000"),
        ("HUB_BIND", ":8000", "is not address:port"),
        ("HUB_BIND", "::1:8000", "is not address:port"),
        ("HUB_BIND", "127.0.0.1:0", "is not address:port"),
        ("HUB_BIND", "127.0.0.1:65536", "is not address:port"),
        ("HUB_PUBLIC_URL", "hub.example.com", "is not a web address; write for example https://"),
        ("HUB_MAIL_URL", "hub:pw-1@mail.example.com", "not the address of a mail server; write smtp://"),
        ("HUB_MAIL_URL", "smtp://hub:pw-1@h:port", "not the address of a mail server; write smtp://"),
        ("HUB_MAIL_FROM", "the hub", "“the hub” is not a mail address"),
        ("HUB_WORKERS", "1", "“1” is not a number of workers; write a whole number from 2"),
        ("HUB_WORKERS", "2.5", "“2.5” is not a number of workers"),
        ("HUB_WORKERS", "many", "“many” is not a number of workers"),
        ("HUB_SECRET_KEY_FILE", "/no/such/file", "the file /no/such/file cannot be read"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy_and_never_with_its_password(data_dir, variable, value, sentence):
    text = problems({"data_dir": data_dir}, **{variable: value})
    assert text.startswith(f"{variable}: ")
    assert sentence in text
    assert "pw-1" not in text


def test_every_problem_is_said_at_once(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text('databse_url = "x"\nworkers = true\ncolour = 1\n')
    text = problems({"bind": "nowhere"}, HUB_CONFIG=file, HUB_REDIS_URL="nonsense")
    assert text.splitlines() == [
        "Several settings are wrong:",
        f"{file}: there is no setting called databse_url. Did you mean database_url?",
        f"{file}: there is no setting called colour. There is: data_dir, database_url, redis_url, secret_key, bind, "
        "public_url, workers, web_workers, pull_every_s, backfill_share, mail_url, mail_from, strict_plugins.",
        f"{file}, workers: “True” is not a number of workers; write a whole number from 2 to 64.",
        "HUB_REDIS_URL: this is not the address of a Redis or Valkey server; write redis://host:6379/0, "
        "rediss://host:6379/0 or unix:///path/to/socket, or leave it out for the embedded server.",
        "--bind: “nowhere” is not address:port; write for example 127.0.0.1:8000, 0.0.0.0:80 or [::1]:8000.",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "cannot be read"), ("bind = ", "is not TOML"), (b"\xff\xfe", "is not TOML")]
)
def test_a_configuration_file_that_cannot_be_used(tmp_path, content, sentence):
    file = tmp_path / "hub.toml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert sentence in problems(HUB_CONFIG=file)


def test_a_secret_given_twice(tmp_path, data_dir):
    (tmp_path / "key").write_text("x")
    text = problems({"data_dir": data_dir}, HUB_SECRET_KEY=Fernet.generate_key().decode(), HUB_SECRET_KEY_FILE="key")
    assert text == "HUB_SECRET_KEY and HUB_SECRET_KEY_FILE are both set. Keep one of them."


def test_a_data_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    assert "is a file. Set HUB_DATA_DIR" in problems(HUB_DATA_DIR=tmp_path / "file")
    assert "cannot be made (Not a directory). Set HUB_DATA_DIR" in problems(HUB_DATA_DIR=tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written to. Set HUB_DATA_DIR" in problems(HUB_DATA_DIR=tmp_path)


def test_settings_do_not_show_secrets():
    settings = Settings(database_url="postgresql://u:pw-1@h/hub", redis_url="redis://:pw-1@h", secret_key="pw-1")
    assert "pw-1" not in repr(settings)


# The key -------------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_only_for_its_owner(data_dir):
    settings = load_settings({"data_dir": data_dir}, {})
    keys = secret_keys(settings)
    assert secret_keys(settings) == keys
    assert stat.S_IMODE((data_dir / "secret.key").stat().st_mode) == 0o600
    assert Fernet(keys[0])
    assert [path.name for path in data_dir.iterdir()] == ["secret.key"]  # nothing half-written is left


def _key_of(data_dir: Path) -> tuple[str, ...]:
    return secret_keys(Settings(data_dir=data_dir))


def test_processes_that_start_together_share_one_key(tmp_path):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(_key_of, [tmp_path] * 16, chunksize=1)
    assert len(set(keys)) == 1


def test_several_keys_may_be_configured_and_the_first_encrypts():
    first, second = (Fernet.generate_key().decode() for _ in range(2))
    assert secret_keys(Settings(secret_key=f"{first}, {second}")) == (first, second)


def test_no_key_can_be_made_where_nothing_can_be_written(tmp_path):
    with pytest.raises(SetupError, match=r"secret\.key cannot be read or made .* or set HUB_SECRET_KEY"):
        secret_keys(Settings(data_dir=tmp_path / "missing"))


# What nothing reads --------------------------------------------------------------------------------------------------


def test_a_misspelt_variable_is_found_with_the_name_that_is_meant():
    environ = {"HUB_DATABSE_URL": "postgresql://x/y", "HUB_TOKEN": "1", "HUB_SECRET_KEY_FILE": "k", "HUB_CONFIG": "c"}
    assert unknown_variables(environ) == [("HUB_DATABSE_URL", "HUB_DATABASE_URL"), ("HUB_TOKEN", "")]
