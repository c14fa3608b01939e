"""How the vendor says no: one error of the data API, also as a row's result inside a 200."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.testing.sandbox import Answer, json_response

_STATUS = {
    "INVALID_SESSION_ID": 401,
    "REQUEST_LIMIT_EXCEEDED": 403,
    "INSUFFICIENT_ACCESS_OR_READONLY": 403,
    "NOT_FOUND": 404,
    "ENTITY_IS_DELETED": 404,
    "INVALID_CROSS_REFERENCE_KEY": 404,
    "METHOD_NOT_ALLOWED": 405,
    "UNSUPPORTED_API_VERSION": 410,
    "UNSUPPORTED_MEDIA_TYPE": 415,
}


class ApiError(Answer):
    """Ends a call with `[{"message", "errorCode", "fields"?}]`, or becomes the `errors` of one row.

    whole_call: refuses all rows of a collection, not only its own (an unknown field, an ill-typed value). saved: the
    row was saved all the same.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fields: Sequence[str] = (),
        status: int | None = None,
        whole_call: bool = False,
        saved: bool = False,
        details: dict[str, Any] | None = None,
    ) -> None:
        self.code, self.message, self.fields = code, message, list(fields)
        self.whole_call, self.saved = whole_call, saved
        self.details = details or {}
        body: dict[str, Any] = {"message": message, "errorCode": code, **self.details}
        if self.fields:
            body["fields"] = self.fields
        super().__init__(json_response([body], status or _STATUS.get(code, 400)))

    def row_result(self, id: str | None = None) -> dict[str, Any]:
        """The row's result in a collection: `statusCode` where a single call says `errorCode`."""
        error = {"statusCode": self.code, "message": self.message, "fields": self.fields, **self.details}
        return {**({"id": id} if id else {}), "success": False, "errors": [error]}
