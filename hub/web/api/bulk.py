"""Creating many records by one request, with a verdict for each row: bad rows do not stop good ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Response
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.errors import AccessDenied, NotFound, RuleBroken
from hub.web.api.fields import field_errors
from hub.web.api.rest import Values, answer
from hub.web.problems import problem_of, refused_reference

MOST_ROWS: Final = MAX_ROWS_PER_TRANSACTION


class BulkInput(Schema):
    """Rows to create, each in the form in which one is created alone."""

    data = fields.List(fields.Dict(keys=fields.String()), required=True, validate=validate.Length(min=1, max=MOST_ROWS))


class RowError(Schema):
    """What is wrong with a value of a row."""

    pointer = fields.String(required=True, metadata={"example": "/name"})
    code = fields.String(required=True)
    message = fields.String(required=True)


class Verdict(Schema):
    """What became of one row. row: its place, from 0. outcome: created or rejected."""

    row = fields.Integer(required=True)
    outcome = fields.String(required=True, validate=validate.OneOf(["created", "rejected"]))
    id = fields.UUID(required=True, allow_none=True)
    errors = fields.List(fields.Nested(RowError), required=True)


class BulkOutput(Schema):
    """One verdict for each row, in their order, and how many there are of each kind."""

    data = fields.List(fields.Nested(Verdict), required=True)
    created = fields.Integer(required=True)
    rejected = fields.Integer(required=True)


def answer_bulk(rows: list[Values], schema: type[Schema], create: Callable[[Session, Values], Any]) -> Response:
    """Create each row on its own: one that is refused leaves nothing behind, and the others go on."""

    def work(session: Session) -> Values:
        verdicts = [_verdict(session, index, row, schema, create) for index, row in enumerate(rows)]
        created = sum(verdict["outcome"] == "created" for verdict in verdicts)
        return {"data": verdicts, "created": created, "rejected": len(verdicts) - created}

    return answer(work)


def _verdict(
    session: Session, index: int, row: Values, schema: type[Schema], create: Callable[[Session, Values], Any]
) -> Values:
    try:
        values = schema().load(row)
        with session.begin_nested():
            record = create(session, values)
            session.flush()
        return {"row": index, "outcome": "created", "id": record.id, "errors": []}
    except ValidationError as failure:
        errors = field_errors(failure.normalized_messages())
    except (RuleBroken, NotFound, AccessDenied) as failure:
        reference = refused_reference(failure, values) if isinstance(failure, NotFound) else None
        problem = problem_of(reference or failure)
        errors = list(problem.errors) or [_whole(problem.code or problem.kind.code, str(failure))]
    except IntegrityError:
        errors = [_whole("conflict", "Another record has one of these values already.")]
    return {"row": index, "outcome": "rejected", "id": None, "errors": errors}


def _whole(code: str, message: str) -> dict[str, str]:
    return {"pointer": "", "code": code, "message": message}
