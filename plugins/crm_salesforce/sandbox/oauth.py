"""The token endpoint: JWT bearer, client credentials and refresh token (contract, section 2)."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from hub.testing.sandbox import Answer, json_response, route
from plugins.crm_salesforce.sandbox.frame import API_USER, ORG_ID, SalesforceFrame, truth

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_LONGEST_ASSERTION_S = 300


def refusal(error: str, description: str) -> Answer:
    return Answer(json_response({"error": error, "error_description": description}, 400))


class OAuthCalls(SalesforceFrame):
    """Sessions are opaque, live from use to use, and have no `expires_in`."""

    @route("POST", "/services/oauth2/token", counts="token")
    def token(self, request: Request) -> Response:
        grants = {
            _JWT_BEARER: self._by_assertion,
            "client_credentials": self._by_client_credentials,
            "refresh_token": self._by_refresh_token,
        }
        grant = grants.get(request.form.get("grant_type", ""))
        if grant is None:
            raise refusal("unsupported_grant_type", "grant type not supported")
        more = grant(request)
        token = f"{ORG_ID[:15]}!{secrets.token_urlsafe(48)}"
        self.state["tokens"][token] = {"ends_at": self.session_end()}
        self.changed()
        url = request.host_url.rstrip("/")
        identity = f"{url}/id/{ORG_ID}/{API_USER}"
        answer = {"access_token": token, "instance_url": url, "id": identity, "token_type": "Bearer", "scope": "api"}
        return json_response({**answer, **more})

    def _by_assertion(self, request: Request) -> dict[str, Any]:
        import jwt

        assertion = request.form.get("assertion", "")
        try:
            claims = jwt.decode(
                assertion, self._public_key(), algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False}
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, OSError):
            raise refusal("invalid_grant", "invalid assertion") from None
        if claims.get("iss") != self.client_id:
            raise refusal("invalid_client_id", "client identifier invalid")
        if claims.get("aud") not in (*_AUDIENCES, request.host_url.rstrip("/")):
            raise refusal("invalid_grant", "audience is invalid")
        left_s = float(claims.get("exp", 0)) - self.now().timestamp()
        if not 0 < left_s <= _LONGEST_ASSERTION_S:
            raise refusal("invalid_grant", "assertion has expired or is valid for too long")
        if claims.get("sub") != self.username:
            raise refusal("invalid_grant", "user hasn't approved this consumer")
        return {}

    def _public_key(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
        from cryptography.x509 import load_pem_x509_certificate

        given = str(self.options.get("certificate", ""))
        pem = Path(given).read_bytes() if given and "-----BEGIN" not in given else given.encode()
        if b"BEGIN CERTIFICATE" in pem:
            return load_pem_x509_certificate(pem).public_key()
        return load_pem_public_key(pem)

    def _by_client_credentials(self, request: Request) -> dict[str, Any]:
        if not truth(self.options.get("my_domain", True)):
            raise refusal("invalid_grant", "request not supported on this domain")
        self._refuse_client(request, secret_needed=True)
        if not truth(self.options.get("run_as", True)):
            raise refusal("invalid_grant", "no client credentials user enabled")
        return self._signed()

    def _by_refresh_token(self, request: Request) -> dict[str, Any]:
        self._refuse_client(request, secret_needed=False)
        token = request.form.get("refresh_token", "")
        if token not in self.state["refresh_tokens"]:
            raise refusal("invalid_grant", "expired access/refresh token")
        if not truth(self.options.get("rotate_refresh_tokens", False)):
            return self._signed()
        self.state["refresh_tokens"].remove(token)
        fresh = secrets.token_urlsafe(32)
        self.state["refresh_tokens"].append(fresh)
        return {**self._signed(), "refresh_token": fresh}

    def _refuse_client(self, request: Request, *, secret_needed: bool) -> None:
        client_id, secret = _basic(request) or _posted(request.form)
        if client_id != self.client_id:
            raise refusal("invalid_client_id", "client identifier invalid")
        if secret != self.client_secret and (secret_needed or secret):
            raise refusal("invalid_client", "invalid client credentials")

    def _signed(self) -> dict[str, Any]:
        return {"issued_at": str(int(self.now().timestamp() * 1000)), "signature": secrets.token_urlsafe(32)}


def _posted(form: Mapping[str, str]) -> tuple[str, str]:
    return form.get("client_id", ""), form.get("client_secret", "")


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret
