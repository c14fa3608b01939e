"""What the service answers when it refuses. Codes: vendor's page "Fix common QuickBooks Online API errors"."""

from __future__ import annotations

from typing import Any


class VendorFault(Exception):
    """One refusal, as the vendor words it."""

    def __init__(self, code: int, message: str, detail: str = "", *, element: str = "", status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.detail, self.element, self.status = code, message, detail, element, status

    def body(self) -> dict[str, Any]:
        """The `Fault` object of an answer or a batch item."""
        error = {"Message": self.message, "Detail": self.detail or self.message, "code": str(self.code)}
        if self.element:
            error["element"] = self.element
        return {"Error": [error], "type": "SystemFault" if self.status >= 500 else "ValidationFault"}

    def gateway_body(self) -> dict[str, Any]:
        """What the gateway in front of the service answers (401, 403, 429): the same in lower case, code padded."""
        code = f"{self.code:06d}"
        message = f"message={self.message}; errorCode={code}; statusCode={self.status}"
        error = {"message": message, "detail": self.detail, "code": code}
        kind = "AUTHENTICATION" if self.status == 401 else "AUTHORIZATION" if self.status == 403 else "THROTTLE"
        return {"warnings": None, "intuitObject": None, "fault": {"error": [error], "type": kind}, "report": None}


def token_refused() -> VendorFault:
    return VendorFault(3200, "AuthenticationFailed", "Token expired, malformed or revoked", status=401)


def wrong_company() -> VendorFault:
    return VendorFault(3100, "ApplicationAuthorizationFailed", "The token is for another company", status=403)


def throttled() -> VendorFault:
    return VendorFault(3001, "ThrottleExceeded", "Too many requests", status=429)


def unsupported(detail: str) -> VendorFault:
    return VendorFault(500, "Unsupported Operation", detail)


def not_found(kind: str, detail: str = "") -> VendorFault:
    return VendorFault(610, "Object Not Found", detail or f"The {kind} you refer to was deleted or made inactive.")


def unparsable(detail: str, element: str = "") -> VendorFault:
    return VendorFault(2010, "Request has invalid or unsupported property", detail, element=element)


def missing(element: str) -> VendorFault:
    return VendorFault(2020, "Required param missing", f"Required parameter {element} is missing", element=element)


def too_long(element: str, longest: int) -> VendorFault:
    detail = f"String length is either shorter or longer than supported by specification. Min:0 Max:{longest} supported"
    return VendorFault(2050, "String length specified does not match the supported length", detail, element=element)


def invalid_enumeration(element: str, value: object) -> VendorFault:
    return VendorFault(2170, "Invalid Enumeration", f"Property {element} has the value {value}", element=element)


def malformed_email(element: str) -> VendorFault:
    return VendorFault(2210, "Invalid Email Address format", "The e-mail address is malformed", element=element)


def unknown_reference(element: str, value: object) -> VendorFault:
    return VendorFault(2500, "Invalid Reference Id", f"Something in {element} is not here: {value}", element=element)


def bad_query(detail: str) -> VendorFault:
    return VendorFault(4000, "Error parsing query", f"QueryParserError: {detail}")


def not_queryable(name: str) -> VendorFault:
    return VendorFault(4001, "Invalid query", f"QueryValidationError: property '{name}' is not queryable")


def stale(kind: str) -> VendorFault:
    detail = f"You and another user were working on this {kind} at the same time."
    return VendorFault(5010, "Stale Object Error", detail, element="SyncToken")


def business(detail: str) -> VendorFault:
    return VendorFault(6000, "A business validation error has occurred", f"Business Validation Error: {detail}")


def amount_is_not_product(amount: object, product: object) -> VendorFault:
    detail = f"Amount calculation incorrect in the request: {amount} is sent, UnitPrice * Qty is {product}."
    return VendorFault(6070, "Amount is not equal to UnitPrice * Qty", detail)


def duplicate_number(number: str, kind: str, id: str) -> VendorFault:
    detail = f"You must specify a different number. DocNumber={number} is assigned to TxnType={kind} with TxnId={id}"
    return VendorFault(6140, "Duplicate Document Number Error", detail)


def closed_period(date: str) -> VendorFault:
    detail = f"The account period has closed and the account books cannot be updated up to and including {date}."
    return VendorFault(6210, "Account Period Closed, Cannot Update Through Services API", detail)


def duplicate_name(found: str) -> VendorFault:
    return VendorFault(6240, "Duplicate Name Exists Error", f"The name supplied already exists. : {found}")
