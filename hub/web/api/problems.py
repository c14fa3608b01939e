"""/problems: what each kind of problem means, at the address its `type` names."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response
from marshmallow import Schema, fields

from hub.core.errors import NotFound
from hub.web.api.rest import ApiBlueprint, answer
from hub.web.problems import KINDS

blueprint = ApiBlueprint("problems", "What each kind of problem means.", prefix="/problems")


class ProblemKind(Schema):
    """One kind of problem: what it means and what to do."""

    code = fields.String(required=True)
    status = fields.Integer(required=True)
    title = fields.String(required=True)
    text = fields.String(required=True)


@blueprint.get("/<code>", public=True, output=ProblemKind)
def get_problem(code: str) -> Response:
    """One kind of problem."""
    if code not in KINDS:
        raise NotFound(f"There is no kind of problem called {code}.")
    return answer(lambda session: asdict(KINDS[code]))
