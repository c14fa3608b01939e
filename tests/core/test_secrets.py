"""The ring of keys: the first encrypts, all decrypt, and every process follows when they change."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from hub.core.errors import SetupError
from hub.core.secrets import Cipher, key_id

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_what_was_encrypted_is_read_again_and_nothing_is_nothing():
    cipher = Cipher(lambda: [OLD])
    assert cipher.decrypt(cipher.encrypt({"token": "s3cret"})) == {"token": "s3cret"}
    assert (cipher.decrypt(None), cipher.decrypt("")) == ({}, {})


def test_a_running_process_reads_what_a_new_key_has_encrypted_and_encrypts_with_it():
    keys = [OLD]
    cipher = Cipher(lambda: keys)
    keys[:] = [NEW, OLD]

    assert cipher.decrypt(Cipher(lambda: [NEW]).encrypt({"a": 1})) == {"a": 1}
    assert cipher.key_id_of(cipher.encrypt({})) == key_id(NEW)


def test_a_secret_under_another_key_is_said_to_be_so():
    text = Cipher(lambda: [NEW]).encrypt({})
    for act in (Cipher(lambda: [OLD]).decrypt, Cipher(lambda: [OLD]).key_id_of):
        with pytest.raises(SetupError, match="encrypted with another key"):
            act(text)


def test_the_name_of_a_key_tells_nothing_of_it():
    assert len(key_id(OLD)) == 8
    assert key_id(OLD) not in OLD
