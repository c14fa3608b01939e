"""The HTTP session a plugin is given with what it is told: a refusal is an error, so that none is overlooked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from hub.core.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from hub.http import HttpClient, retry_after_s


class PluginHttp(HttpClient):
    """An HttpClient whose answers are all good ones.

    A hook is told again until it succeeds, and is made to bear it; so whatever may work later is a TemporaryFailure,
    also an answer that got lost. A refusal for good (any other 4xx, a redirect) is a PermanentFailure.
    """

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """One call. Raises TemporaryFailure, PermanentFailure, ConfigurationFailure."""
        try:
            response = super().request(method, url, **options)
        except OutcomeUnknown as failure:
            raise TemporaryFailure(str(failure)) from failure
        host = urlsplit(url).hostname
        if response.status_code in (408, 425, 429) or response.status_code >= 500:
            text = f"{host} could not do it just now ({response.status_code})."
            raise TemporaryFailure(text, retry_after_s=retry_after_s(response))
        if response.status_code >= 300:
            raise PermanentFailure(f"{host} refused it ({response.status_code} {response.reason}).")
        return response
