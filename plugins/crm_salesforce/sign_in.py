"""Getting an access token: client credentials, or a signed assertion (contract, section 2)."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from requests import Response

from hub.sdk import ConfigurationFailure, OutcomeUnknown, TemporaryFailure, Values
from plugins.crm_salesforce.failures import errors_of, token_failure

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_PRODUCTION, _SANDBOX = "https://login.salesforce.com", "https://test.salesforce.com"
_ASSERTION_LIFE_S = 180
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def sign_in(http: Any, settings: Values, *, limits: tuple[str, ...], timeout_s: float | None) -> Values:
    """The token answer: access_token, instance_url, and id, the identity address.

    Raises ConfigurationFailure naming the setting at fault.

    Reference: “OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration”, “OAuth 2.0 Client Credentials Flow”.
    """
    login_url = settings["login_url"]
    response = None
    for form in _forms(settings):
        response = _post(http, login_url, form, limits=limits, timeout_s=timeout_s)
        if response.status_code == 200 or not _is_wrong_audience(response):
            break
    assert response is not None  # there is always one form
    if response.status_code != 200:
        raise token_failure(response, login_url=login_url)
    answer = next(iter(errors_of(response)), {})  # its one object
    if not isinstance(answer.get("access_token"), str) or not _is_safe(answer.get("instance_url"), login_url):
        raise token_failure(response, login_url=login_url)
    return {
        "access_token": answer["access_token"],
        "instance_url": answer["instance_url"].rstrip("/"),
        "id": answer.get("id"),
    }


def _post(http: Any, login_url: str, form: Values, *, limits: tuple[str, ...], timeout_s: float | None) -> Response:
    url = f"{login_url}/services/oauth2/token"
    headers = {"Accept": "application/json"}
    try:
        response: Response = http.request("POST", url, data=form, headers=headers, limits=limits, timeout_s=timeout_s)
    except ConfigurationFailure as failure:
        raise ConfigurationFailure(str(failure), field=failure.field or "login_url") from failure
    except TemporaryFailure as failure:
        text = f"Salesforce cannot be reached at {login_url} (setting login_url): {failure}"
        raise type(failure)(text, retry_after_s=failure.retry_after_s) from failure
    except OutcomeUnknown as failure:  # a token that nobody got does no harm: it is simply asked for again
        raise TemporaryFailure(f"Salesforce did not answer at {login_url} (setting login_url).") from failure
    return response


def _forms(settings: Values) -> list[Values]:
    """The form to post; for an assertion there may be two audiences to try behind a proxy or at a stand-in."""
    if not settings.get("private_key"):
        return [
            {
                "grant_type": "client_credentials",
                "client_id": settings["client_id"],
                "client_secret": settings["client_secret"],
            }
        ]
    return [
        {"grant_type": JWT_BEARER, "assertion": assertion(settings, audience=audience)}
        for audience in audiences(settings["login_url"])
    ]


def assertion(settings: Values, *, audience: str) -> str:
    """The signed assertion, good for three minutes."""
    import jwt

    claims = {"iss": settings["client_id"], "sub": settings["username"], "aud": audience}
    claims["exp"] = int(time.time()) + _ASSERTION_LIFE_S
    try:
        return jwt.encode(claims, settings["private_key"], algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError) as failure:
        text = "The setting private_key cannot sign: it must be an RSA key in PEM form."
        raise ConfigurationFailure(text, field="private_key") from failure


def audiences(login_url: str) -> tuple[str, ...]:
    """Whom an assertion is for: the login host of the kind of org, whatever the org's own domain is."""
    host = urlsplit(login_url).hostname or ""
    if host == "test.salesforce.com" or host.endswith(".sandbox.my.salesforce.com"):
        return (_SANDBOX,)
    if host.endswith(".salesforce.com"):
        return (_PRODUCTION,)
    return (_PRODUCTION, login_url)


def _is_wrong_audience(response: Response) -> bool:
    return any("audience" in str(each.get("error_description", "")) for each in errors_of(response))


def _is_safe(instance_url: Any, login_url: str) -> bool:
    """An address that may get the token: https, or plain http where the login is on loopback too."""
    if not isinstance(instance_url, str):
        return False
    parts, login = urlsplit(instance_url), urlsplit(login_url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and login.scheme == "http" and parts.hostname in _LOOPBACK
