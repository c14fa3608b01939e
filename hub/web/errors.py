"""What went wrong, rendered once: a problem document for programs, a page for people, never a traceback."""

from __future__ import annotations

import json

import structlog
from flask import Flask, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from hub.core.errors import HubError
from hub.web.api.bodies import BadQuery
from hub.web.api.fields import field_errors
from hub.web.current import request_id
from hub.web.guard import NotSignedIn
from hub.web.problems import KINDS, Problem, problem_of, problem_of_status

log = structlog.get_logger("hub.web")

_PAGE_TITLES = {
    403: "You may not do this",
    404: "Not found",
    409: "Not possible now",
    413: "Too large",
    422: "Something is not right",
    503: "Not available now",
}
_TEXTS = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "This is too large. Send less at a time.",
}


def register_errors(app: Flask) -> None:
    """Have every error of an application rendered here."""
    app.register_error_handler(Exception, render_error)


def render_error(failure: Exception) -> ResponseReturnValue:
    """The answer to an error, for a program or a person."""
    problem = _problem(failure)
    if problem.kind.status >= 500:
        # The rule, not the path: a path may hold a token.
        log.error("request failed", request_id=request_id(), path=str(request.url_rule or ""), exc_info=failure)
    for_program = request.path.startswith(("/api/", "/webhooks/"))
    response = _document(problem) if for_program else _page(failure, problem)
    if problem.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, problem.retry_after_s))
    if isinstance(failure, HTTPException):
        for name, value in failure.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
    return response


def _problem(failure: Exception) -> Problem:
    if isinstance(failure, NotSignedIn):
        return Problem(KINDS["not-signed-in"], str(failure))
    if isinstance(failure, HubError):
        return problem_of(failure)
    if isinstance(failure, ValidationError):
        place = "parameter" if isinstance(failure, BadQuery) else "pointer"
        errors = tuple(field_errors(failure.normalized_messages(), place=place))
        return Problem(KINDS["validation"], "Some values are not right.", errors=errors)
    if isinstance(failure, IntegrityError | StaleDataError):
        log.warning("conflict", request_id=request_id(), error=str(getattr(failure, "orig", failure)))
        return Problem(KINDS["conflict"], "Another record stands in the way: a value is taken, or it is still in use.")
    if isinstance(failure, HTTPException) and failure.code is not None:
        return problem_of_status(failure.code, _TEXTS.get(failure.code) or failure.description or failure.name)
    return Problem(KINDS["internal"], f"Something went wrong. It is in the log as request {request_id()}.")


def _document(problem: Problem) -> Response:
    body = json.dumps(problem.body(instance=request.path, request_id=request_id()), ensure_ascii=False)
    response = Response(body, status=problem.kind.status, content_type="application/problem+json")
    if problem.kind.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="PSA Hub"'
    return response


def _page(failure: Exception, problem: Problem) -> Response:
    if isinstance(failure, NotSignedIn):
        return _to_sign_in()
    status = problem.kind.status
    title = _PAGE_TITLES.get(status, problem.kind.title)
    sentences = [problem.detail, *(error["message"] for error in problem.errors)] if status == 422 else [problem.detail]
    try:
        page = render_template(
            "error.html", code=status, title=title, text=" ".join(dict.fromkeys(sentences)), request_id=request_id()
        )
    except Exception as second:
        log.error("the error page failed", request_id=request_id(), exc_info=second)
        g.user = None
        page = f"<!doctype html><title>PSA Hub</title><h1>Something went wrong</h1><p>Request {request_id()}.</p>"
    return make_response(page, status)


def _to_sign_in() -> Response:
    """To the sign-in page, and back afterwards if it was a page that was asked for."""
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    address = url_for("pages.login", next=wanted)
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": address})
    return make_response(redirect(address, 303))
