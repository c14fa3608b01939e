"""What every view of the API is made of; the one place that knows flask-smorest.

A view is load, call, dump: its decorator says who may use it and what goes in and out, `answer` runs its work in one
retried transaction, honours Idempotency-Key and If-Match, and dumps what the work returns.

    @clients.patch("/<uuid:client_id>", permission="clients.write", body=ClientInput, output=ClientOutput)
    def change(client_id: UUID, body: Values) -> Response:
        \"\"\"Change what is given.\"\"\"
        return answer(lambda session: change_client(session, client_id, **body), of=row(Client, client_id))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar

from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response, g, request
from flask_smorest import Api
from flask_smorest.blueprint import Blueprint
from marshmallow import Schema
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.core.database import Base
from hub.core.errors import NotFound, SetupError
from hub.web.api import describe
from hub.web.api.bodies import load_body, load_query
from hub.web.api.etags import check_match, demand_match, expects_a_state, is_known, tag_of
from hub.web.api.idempotency import Answer, answered_once, answered_once_after, given_key
from hub.web.api.paging import Asked, asked_for, links, one_page
from hub.web.current import reading, transact
from hub.web.guard import guard_for, guarded
from hub.web.problems import Refused, refused_reference

PREFIX: Final = "/api/v1"
Values = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Any])
Work = Callable[[Session], Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route's decorator says of it. strict: Idempotency-Key and If-Match are demanded, not only honoured."""

    name: str
    method: str
    permission: str
    query: type[Schema] | None = None
    body: type[Schema] | None = None
    output: type[Schema] | None = None
    status: int = 200
    paged: bool = False
    strict: bool = False
    matches: bool = False
    """If-Match is about a record that the route names."""


class ApiBlueprint(Blueprint):
    """Routes of one noun, under /api/v1 and `prefix`."""

    def __init__(self, name: str, description: str, *, prefix: str, strict: bool = False) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            f"api-{name.replace(' ', '-')}", __name__, url_prefix=PREFIX + prefix, description=description
        )
        self.tag = name
        self.strict = strict
        self.operations: list[Operation] = []
        self.permissions: set[str] = set()

    def get(self, rule: str, **options: Any) -> Callable[[View], View]:
        """A route for looking. options: permission or public, query, output, paged."""
        return self._operation("GET", rule, **options)

    def post(self, rule: str, **options: Any) -> Callable[[View], View]:
        """A route that creates (201 unless said otherwise on the collection) or acts. options: see `Operation`."""
        options.setdefault("status", 201 if rule == "" else 200)
        return self._operation("POST", rule, **options)

    def patch(self, rule: str, **options: Any) -> Callable[[View], View]:
        """A route that changes what is given (JSON Merge Patch)."""
        return self._operation("PATCH", rule, **options)

    def delete(self, rule: str, **options: Any) -> Callable[[View], View]:
        """A route that takes a record out."""
        options.setdefault("status", 204)
        return self._operation("DELETE", rule, **options)

    def _operation(
        self, method: str, rule: str, *, permission: str = "", public: bool = False, **options: Any
    ) -> Callable[[View], View]:
        guard = guard_for(permission, public=public, by_key=True)

        def decorate(view: View) -> View:
            options.setdefault("matches", "<" in rule and method != "GET")
            operation = Operation(view.__name__, method, permission, strict=self.strict, **options)

            @wraps(view)
            def run(**path: Any) -> Response:
                g.operation = operation
                response: Response = view(**path, **_loaded(operation))
                return response

            guarded(run, guard)
            run._apidoc = {"manual_doc": describe.operation(operation, has_id="<" in rule)}  # type: ignore[attr-defined]
            self.operations.append(operation)
            self.permissions.add(permission)
            self.add_url_rule(  # type: ignore[no-untyped-call]
                rule, endpoint=view.__name__, view_func=run, methods=[method], tags=[self.tag]
            )
            return view

        return decorate


def _loaded(operation: Operation) -> Values:
    """The arguments a view gets besides those of its path: `query` and `body`, checked."""
    arguments: Values = {}
    if operation.query is not None or operation.paged:
        query = load_query(operation.query, paged=operation.paged)
        if operation.paged:
            g.asked = asked_for(query)
        if operation.query is not None:
            arguments["query"] = query
    if operation.body is not None:
        arguments["body"] = g.body = load_body(operation.body, partial=operation.method == "PATCH")
    return arguments


# Answers --------------------------------------------------------------------------------------------------------------


def row(model: type[Base], record_id: Any) -> Work:
    """For `of`: the record that If-Match is about. Raises NotFound."""

    def find(session: Session) -> Any:
        found = session.get(model, record_id)
        if found is None:
            raise NotFound(f"There is no {model.__name__.lower()} with id {record_id}.")
        return found

    return find


def answer(work: Work, *, of: Work | None = None, view: Callable[[Session, Any], Any] | None = None) -> Response:
    """Run the work and answer with what it returns, dumped by the route's output schema.

    Looking happens in a session for reading; everything else in one transaction that may be run again. of: finds the
    record that If-Match is about. view: makes what is dumped of the work's value, once that is flushed.
    """
    if request.method == "GET":
        with reading() as session:
            return _not_modified_or(_represented(session, work(session), view))

    def whole(session: Session) -> Answer:
        if of is not None:
            _check_state(session, of, view)
        try:
            value = work(session)
        except NotFound as failure:
            reference = refused_reference(failure, g.get("body", {}))
            if reference is None:
                raise
            raise reference from failure
        session.flush()
        return _represented(session, value, view)

    _demand_what_is_missing(of)
    key = given_key()
    return _response(answered_once(key, whole) if key is not None else transact(whole))


def answer_after(
    work: Callable[[], Any], *, of: Work | None = None, view: Callable[[Session, Any], Any] | None = None
) -> Response:
    """The same for work that asks other systems and has transactions of its own. of, view: as for `answer`."""

    def whole() -> Answer:
        if of is not None:
            with reading() as session:
                _check_state(session, of, view, locked=False)
        value = work()
        with reading() as session:
            return _represented(session, value, view)

    _demand_what_is_missing(of)
    key = given_key()
    return _response(answered_once_after(key, whole) if key is not None else whole())


def filtered(statement: Select[Any], query: Values, columns: Mapping[str, InstrumentedAttribute[Any]]) -> Select[Any]:
    """The rows whose columns have the values that were asked for; `updated_after` asks for later ones."""
    for name, column in columns.items():
        if name in query:
            statement = statement.where(column > query[name] if name == "updated_after" else column == query[name])
    return statement


def answer_page(
    statement: Select[Any] | Callable[[Session], Select[Any]],
    *,
    view: Callable[[Session, Any], Any] | None = None,
    views: Callable[[Session, list[Any]], list[Any]] | None = None,
    key: InstrumentedAttribute[Any] | None = None,
    newest_first: bool = False,
) -> Response:
    """One page of the rows of a SELECT of one entity.

    view: makes what is dumped of a row; views: of all rows at once, where that saves queries. key: the order, else id.
    """
    asked: Asked = g.asked
    operation: Operation = g.operation
    with reading() as session:
        select = statement(session) if callable(statement) else statement
        order = key if key is not None else select.column_descriptions[0]["entity"].id
        rows, next_cursor = one_page(session, select, order, asked, newest_first=newest_first)
        shown = views(session, rows) if views else [view(session, row) for row in rows] if view else rows
        data = operation.output().dump(shown, many=True) if operation.output else shown
    response = _response(Answer(200, _json({"data": data, "next_cursor": next_cursor}), None, {}))
    response.headers["Link"] = links(next_cursor)
    return response


def _represented(session: Session, value: Any, view: Callable[[Session, Any], Any] | None) -> Answer:
    operation: Operation = g.operation
    if value is None or operation.output is None:
        return Answer(204, None, None, {})
    shown = view(session, value) if view is not None else value
    schema = operation.output()
    body = schema.dump(shown)
    headers = {"ETag": tag_of(shown, body)}
    if operation.status == 201 and "id" in body:
        headers["Location"] = f"{request.path}/{body['id']}"
    hidden = {name for name, field in schema.fields.items() if field.metadata.get("shown_once")}
    kept = {name: None if name in hidden else inner for name, inner in body.items()}
    return Answer(operation.status, _json(body), _json(kept), headers)


def _check_state(
    session: Session, of: Work, view: Callable[[Session, Any], Any] | None, *, locked: bool = True
) -> None:
    """Raises NotFound, or Refused when the record is not in the state that If-Match names."""
    record = of(session)
    if not expects_a_state():
        return
    if locked:
        session.refresh(record, with_for_update=True)
    operation: Operation = g.operation
    shown = view(session, record) if view is not None else record
    body = operation.output().dump(shown) if operation.output is not None else {}
    check_match(tag_of(shown, body))


def _demand_what_is_missing(of: Work | None) -> None:
    operation: Operation = g.operation
    if not operation.strict:
        return
    if operation.method == "POST" and given_key() is None:
        raise Refused("idempotency-key-missing", "Send an Idempotency-Key: a random text, new for each request.")
    if of is not None and not expects_a_state():
        demand_match()


def _not_modified_or(answer: Answer) -> Response:
    if "ETag" in answer.headers and is_known(answer.headers["ETag"]):
        return Response(status=304, headers={"ETag": answer.headers["ETag"]})
    return _response(answer)


def _response(answer: Answer) -> Response:
    response = Response(answer.body, status=answer.status, headers=answer.headers)
    if answer.body is not None:
        response.mimetype = "application/json"
    return response


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# The API as a whole ---------------------------------------------------------------------------------------------------


class _Api(Api):
    DEFAULT_ERROR_RESPONSE_NAME = None  # type: ignore[assignment]  # each operation lists its own

    def _register_error_handlers(self) -> None:
        """Errors are rendered in hub.web.errors, for pages and API alike."""


def make_api(app: Flask, version: str) -> Api:
    """The API of an application, with its OpenAPI document at /api/v1/openapi.json."""
    app.config.update(describe.SETTINGS, API_VERSION=version)
    plugin = MarshmallowPlugin(schema_name_resolver=describe.schema_name)
    api: Api = _Api(  # type: ignore[no-untyped-call]
        app, spec_kwargs={"marshmallow_plugin": plugin}
    )
    describe.complete(api)
    return api


def add_blueprint(api: Api, blueprint: ApiBlueprint, taken: set[str]) -> None:
    """Mount a blueprint. taken: names of operations so far, which grow. Raises SetupError for a name that is taken."""
    twice = sorted(taken & {operation.name for operation in blueprint.operations})
    if twice:
        raise SetupError(
            f"The API has an operation called {twice[0]} already; {blueprint.tag} must choose another name."
        )
    api.register_blueprint(blueprint)
    api.spec._tags[-1]["name"] = blueprint.tag
    taken.update(operation.name for operation in blueprint.operations)
