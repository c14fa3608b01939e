"""One user with a password."""

from __future__ import annotations

import pytest

from hub.access.users import create_user, new_password

PASSWORD = "correct horse battery"


@pytest.fixture
def password():
    return PASSWORD


@pytest.fixture
def ada(hub):
    """The id of an admin who has a password."""

    def work(session):
        return create_user(
            session, email="Ada@Example.com", name="Ada", role="admin", password=new_password(PASSWORD)
        ).id

    return hub.transact(work)
