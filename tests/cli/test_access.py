from __future__ import annotations

import pytest

from hub.access.sign_in import sign_in, try_password
from hub.access.users import find_user, password_is
from hub.bootstrap import build_hub
from hub.config import load_settings

PASSWORD = "a few plain words"
ADA = ("--email", "ada@example.com", "--name", "Ada Byron")


def stored(command):
    """The hub that a command line works on."""
    return build_hub(load_settings({"data_dir": str(command.data_dir)}, environ={}), plugins={})


def test_a_new_user_gets_a_link_to_set_a_password(firm):
    added = firm("user", "add", *ADA, "--role", "finance").out

    assert added.startswith(
        "Ada Byron <ada@example.com> is finance. They set their password here: http://127.0.0.1:8000/reset/"
    )


def test_a_password_is_read_from_standard_input_and_shown_nowhere(firm):
    answer = firm("user", "add", *ADA, "--role", "admin", "--password-stdin", "--json", given=f"{PASSWORD}\n")

    hub = stored(firm)
    with hub.read() as session:
        assert password_is(find_user(session, "ada@example.com"), PASSWORD)
    hub.close()
    assert PASSWORD not in answer.out + answer.err
    assert "link" not in answer.json


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("short\n", "A password has 12 to 200 characters; this one has 5."),
        ("aaaaaaaaaaaaaa\n", "This password is too easy to guess."),
    ],
)
def test_a_bad_password_is_refused_and_nobody_is_added(firm, given, sentence):
    answer = firm("user", "add", *ADA, "--role", "admin", "--password-stdin", given=given, code=1)

    assert sentence in answer.err
    assert firm("user", "list", "--json").json == []


def test_an_address_is_taken_once(firm):
    firm("user", "add", *ADA, "--role", "admin")

    answer = firm("user", "add", "--email", "ADA@example.com", "--name", "Other", "--role", "admin", code=1)

    assert "There is a user with the address ada@example.com already." in answer.err


def test_an_unknown_role_is_wrong_usage(firm):
    assert "'boss' is not one of 'admin', 'finance'" in firm("user", "add", *ADA, "--role", "boss", code=2).err


def test_the_last_admin_stays(firm):
    firm("user", "add", *ADA, "--role", "admin")

    assert "The last active admin cannot go" in firm("user", "set", "ada@example.com", "--inactive", code=1).err


def test_a_role_can_be_changed(firm):
    firm("user", "add", *ADA, "--role", "finance")

    assert (
        firm("user", "set", "ada@example.com", "--role", "manager").out
        == "Ada Byron <ada@example.com> is manager, active.\n"
    )


def test_a_reset_link_is_for_somebody_there_is(firm):
    firm("user", "add", *ADA, "--role", "finance")

    assert "/reset/" in firm("user", "reset", "ada@example.com", "--json").json["link"]
    assert "There is no user with the address bo@example.com." in firm("user", "reset", "bo@example.com", code=1).err


def test_a_wrong_password_signs_nobody_in(firm):
    firm("user", "add", *ADA, "--role", "admin", "--password-stdin", given=f"{PASSWORD}\n")
    hub = stored(firm)

    with hub.read() as session:
        proof = try_password(session, "ada@example.com", "not this one")
    assert hub.transact(lambda session: sign_in(session, "ada@example.com", proof)) is None
    hub.close()


def test_a_key_is_shown_once(firm):
    firm("user", "add", *ADA, "--role", "finance")

    made = firm("key", "create", "--user", "ada@example.com", "--name", "script")
    (listed,) = firm("key", "list", "--json").json

    assert made.out.startswith("psah_live_")
    assert made.out.strip() not in str(listed)
    assert (listed["name"], listed["user"], listed["revoked_at"]) == ("script", "ada@example.com", None)


def test_a_revoked_key_is_listed_as_such(firm):
    firm("user", "add", *ADA, "--role", "finance")
    key_id = firm("key", "create", "--user", "ada@example.com", "--name", "script", "--json").json["id"]

    firm("key", "revoke", key_id)

    assert firm("key", "list", "--json").json[0]["revoked_at"] is not None


def test_a_key_cannot_hold_more_than_its_owner(firm):
    firm("user", "add", *ADA, "--role", "consultant")

    answer = firm("key", "create", "--user", "ada@example.com", "--name", "x", "--scope", "users.write", code=1)

    assert "Ada Byron does not hold users.write." in answer.err


def test_a_user_is_tied_to_the_person_whose_time_they_record(worked):
    worked("user", "add", *ADA, "--role", "consultant")

    changed = worked("user", "set", "ada@example.com", "--person", "Ada", "--json").json

    assert changed["person_id"] is not None
    answer = worked("user", "set", "ada@example.com", "--person", "Adah", code=1)
    assert answer.err == "Error: There is no person called “Adah”. Did you mean “Ada”?\n"


def test_the_key_is_rotated_and_only_its_id_is_shown(firm):
    before = [row["key"] for row in firm("secrets", "list", "--json").json]

    said = firm("secrets", "rotate").out

    key = (firm.data_dir / "secret.key").read_text().split()
    after = firm("secrets", "list", "--json").json
    assert [row["key"] for row in after][1:] == before
    assert f"The key {after[0]['key']} encrypts from now on" in said
    assert not any(one in said + str(after) for one in key)
