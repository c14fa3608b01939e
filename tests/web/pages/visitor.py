"""Somebody at a browser without scripts: follows links, sends forms with the page's own token."""

from __future__ import annotations

import re

from hub.access.models import User
from hub.access.sign_in import open_session
from hub.web.csrf import SESSION_COOKIE

_TOKEN = re.compile(r'name="_csrf" value="([0-9a-f]+)"')


class Visitor:
    """A test client that is signed in as a user, or not at all. Answers are responses; `text` is the last page."""

    def __init__(self, app, hub, user_id=None):
        self.client = app.test_client()
        self.text = ""
        if user_id is not None:
            token = hub.transact(lambda session: open_session(session, session.get_one(User, user_id))[1])
            self.client.set_cookie(SESSION_COOKIE, token)

    def get(self, path):
        return self._seen(self.client.get(path))

    def post(self, path, form=None, *, seen_at=None):
        """Send a form. seen_at: the page it stands on, if that has another address."""
        page = self.client.get(seen_at or "/keys").get_data(as_text=True)
        found = _TOKEN.search(page)
        return self._seen(self.client.post(path, data={**(form or {}), "_csrf": found[1] if found else ""}))

    def follow(self, response):
        """The page that a redirect leads to."""
        assert response.status_code == 303, (response.status_code, self.text[:2000])
        return self.get(response.headers["Location"])

    def _seen(self, response):
        self.text = response.get_data(as_text=True)
        return response
