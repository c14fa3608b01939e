"""/companies: the legal entities of the firm."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.companies.models import Company
from hub.core.companies.service import only_company, set_company
from hub.core.errors import RuleBroken
from hub.web.api.fields import Rate, RecordOutput, text, whole
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, row

blueprint = ApiBlueprint("companies", "The legal entities of the firm.", prefix="/companies")


class CompanyChange(Schema):
    """What can be changed of a company."""

    country = text(2, least=2, metadata={"example": "GB"})
    currency = text(3, least=3, metadata={"example": "GBP"})
    time_zone = text(64, metadata={"example": "Europe/London"})
    tax_rate = Rate(metadata={"description": "In per cent.", "example": "20"})
    payment_days = whole(0, 365)


class CompanyInput(CompanyChange):
    """A new company; its name stays."""

    name = text(200, least=1, required=True)
    country = text(2, least=2, required=True, metadata={"example": "GB"})
    currency = text(3, least=3, required=True, metadata={"example": "GBP"})


class CompanyOutput(RecordOutput):
    """A legal entity of the firm."""

    name = fields.String(required=True)
    country = fields.String(required=True)
    currency = fields.String(required=True)
    time_zone = fields.String(required=True)
    tax_rate = Rate(required=True)
    payment_days = fields.Integer(required=True)


@blueprint.get("", permission="companies.read", output=CompanyOutput, paged=True)
def list_companies() -> Response:
    """The companies, the oldest first."""
    return answer_page(select(Company))


@blueprint.post("", permission="companies.write", body=CompanyInput, output=CompanyOutput)
def create_company(body: Values) -> Response:
    """Set up a company."""

    def work(session: Session) -> Company:
        if session.scalar(select(Company.id).where(Company.name == body["name"])) is not None:
            raise RuleBroken(f"There is a company called “{body['name']}” already.", fields={"name": "is taken"})
        return set_company(session, **body)

    return answer(work)


@blueprint.get("/<uuid:company_id>", permission="companies.read", output=CompanyOutput)
def get_company(company_id: UUID) -> Response:
    """One company."""
    return answer(row(Company, company_id))


@blueprint.patch("/<uuid:company_id>", permission="companies.write", body=CompanyChange, output=CompanyOutput)
def change_company(company_id: UUID, body: Values) -> Response:
    """Change what is given."""
    return answer(
        lambda session: set_company(session, name=only_company(session, company_id).name, **body),
        of=row(Company, company_id),
    )
