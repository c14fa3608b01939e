"""OAuth 2.0 as the vendor does it: short access tokens, refresh tokens that are used once."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response

from hub.testing.sandbox import Answer, json_response

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the stand-in's own, known to everyone
FIRST_REFRESH_TOKEN = "sandbox-refresh-0"  # noqa: S105
ACCESS_LIFE_S = 3600
REFRESH_LIFE_S = 8_726_400
"""About 101 days, renewed with every use."""


def discovery_document(url: str) -> dict[str, Any]:
    """The OpenID discovery document: every token address comes from it."""
    return {
        "issuer": f"{url}/op/v1",
        "authorization_endpoint": f"{url}/connect/oauth2",
        "token_endpoint": f"{url}/oauth2/v1/tokens/bearer",
        "revocation_endpoint": f"{url}/v2/oauth2/tokens/revoke",
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    }


class Tokens:
    """The tokens of one app and one company. state: {"serial", "access": {token: until}, "refresh": ..., "codes"}."""

    def __init__(self, state: dict[str, Any], now: datetime) -> None:
        self._state = state
        self._now = now

    def start(self) -> None:
        """Make the refresh token that the connection settings name valid."""
        self._state["refresh"][FIRST_REFRESH_TOKEN] = self._until(REFRESH_LIFE_S)

    def grant(self) -> str:
        """A refresh token for a new connection, as the developer portal's playground hands one out."""
        if FIRST_REFRESH_TOKEN in self._state["refresh"]:
            return FIRST_REFRESH_TOKEN
        return str(self._issue()["refresh_token"])

    def valid(self, header: str) -> bool:
        """Is this Authorization header that of a living access token?"""
        kind, _, token = header.partition(" ")
        return kind == "Bearer" and self._alive(self._state["access"].get(token))

    def answer(self, request: Request) -> Response:
        """The token endpoint."""
        check_app(request)
        match request.form.get("grant_type"):
            case "refresh_token":
                token = request.form.get("refresh_token", "")
                if not self._alive(self._state["refresh"].pop(token, None)):
                    raise _refused(400, "invalid_grant", "Incorrect or invalid refresh token")
            case "authorization_code":
                if request.form.get("code") not in self._state["codes"]:
                    raise _refused(400, "invalid_grant", "Invalid authorization code")
                self._state["codes"].remove(request.form["code"])
            case _:
                raise _refused(400, "unsupported_grant_type", "")
        return json_response(self._issue())

    def authorise(self, request: Request, realm_id: str) -> Response:
        """The consent page; the stand-in's user always agrees."""
        self._state["serial"] += 1
        code = f"sandbox-code-{self._state['serial']}"
        self._state["codes"].append(code)
        query = urlencode({"code": code, "state": request.args.get("state", ""), "realmId": realm_id})
        return Response(status=302, headers={"Location": f"{request.args.get('redirect_uri', '')}?{query}"})

    def revoke(self) -> None:
        """Disconnect the app: no token is worth anything any more."""
        self._state["access"].clear()
        self._state["refresh"].clear()

    def expire_access(self) -> None:
        self._state["access"].clear()

    def _issue(self) -> dict[str, Any]:
        self._state["serial"] += 1
        serial = self._state["serial"]
        access, refresh = f"sandbox-access-{serial}", f"sandbox-refresh-{serial}"
        self._state["access"][access] = self._until(ACCESS_LIFE_S)
        self._state["refresh"][refresh] = self._until(REFRESH_LIFE_S)
        return {
            "token_type": "bearer",
            "access_token": access,
            "expires_in": ACCESS_LIFE_S,
            "refresh_token": refresh,
            "x_refresh_token_expires_in": REFRESH_LIFE_S,
        }

    def _until(self, seconds: int) -> str:
        return (self._now + timedelta(seconds=seconds)).isoformat()

    def _alive(self, until: str | None) -> bool:
        return until is not None and self._now < datetime.fromisoformat(until)


def check_app(request: Request) -> None:
    """Raises Answer 401 unless the call carries the app's id and secret."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        given = ""
    if kind != "Basic" or given != f"{CLIENT_ID}:{CLIENT_SECRET}":
        raise _refused(401, "invalid_client", "")


def _refused(status: int, error: str, description: str) -> Answer:
    return Answer(json_response({"error": error, "error_description": description}, status))
