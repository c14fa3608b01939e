"""The pages: a partner's deals, the form in two steps, one deal; and the firm's review. All work as plain forms."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from hub.sdk import RuleBroken
from hub.sdk.web import current_user, flash, page_blueprint, reading, redirect_to, render, transact
from plugins.partner_portal import page_contexts as contexts
from plugins.partner_portal import service
from plugins.partner_portal.access import REGISTER, REVIEW, my_partner
from plugins.partner_portal.detection import precheck
from plugins.partner_portal.models import Deal
from plugins.partner_portal.partners import families, programme
from plugins.partner_portal.rules import LOSS_REASONS, Role

pages = page_blueprint("partner_portal", __name__, prefix="/partner", templates="templates")

_STEP_FIELDS = {
    1: (
        "customer_name",
        "customer_website",
        "no_website_reason",
        "customer_country",
        "customer_postcode",
        "customer_city",
        "customer_tax_id",
        "contact_name",
        "contact_email",
    ),
    2: ("title", "business_problem", "deal_type", "currency", "external_id"),
}
_CUSTOMER_FIELDS = {*_STEP_FIELDS[1], "consent_to_contact"}


# The partner's deals --------------------------------------------------------------------------------------------------


@pages.get("/deals", permission=REGISTER)
def deals() -> ResponseReturnValue:
    """The list of one's own deals."""
    listing = _listing("partner_portal.deals", contexts.OWN_TABS, "all")
    with reading() as session:
        return render("partner_portal/deals.html", **contexts.own_list(session, my_partner(session), listing))


@pages.get("/deals/new", permission=REGISTER)
def new_deal() -> ResponseReturnValue:
    """The first step of a new deal."""
    with reading() as session:
        return _form(session, None, step=1)


@pages.post("/deals/new", permission=REGISTER)
def start_deal() -> ResponseReturnValue:
    """Keep the first step as a draft."""
    return _save(lambda session, values: service.create_deal(session, my_partner(session), values), None)


@pages.get("/deals/<uuid:deal_id>/edit", permission=REGISTER)
def edit_deal(deal_id: UUID) -> ResponseReturnValue:
    """A draft's form, at one of its steps."""
    with reading() as session:
        return _form(session, deal_id, step=_step(), answer=request.args.get("answer", ""))


@pages.post("/deals/<uuid:deal_id>/edit", permission=REGISTER)
def save_deal(deal_id: UUID) -> ResponseReturnValue:
    """Keep what was entered; submit the deal if that was pressed."""
    return _save(lambda session, values: service.change_deal(session, _own(session, deal_id), values), deal_id)


@pages.get("/deals/<uuid:deal_id>", permission=REGISTER)
def deal(deal_id: UUID) -> ResponseReturnValue:
    """One of one's own deals."""
    with reading() as session:
        return render("partner_portal/deal.html", **contexts.own_deal_page(session, _own(session, deal_id)))


@pages.get("/deals/<uuid:deal_id>/delete", permission=REGISTER)
def delete_deal(deal_id: UUID) -> ResponseReturnValue:
    """Ask before a draft is thrown away."""
    return _ask(deal_id, "Delete this draft?", "The draft is thrown away. It held no place in line.", "Delete")


@pages.post("/deals/<uuid:deal_id>/delete", permission=REGISTER)
def confirm_delete(deal_id: UUID) -> ResponseReturnValue:
    """Throw a draft away."""
    transact(lambda session: service.delete_draft(session, _own(session, deal_id)))
    flash("good", "The draft is deleted.")
    return redirect_to("partner_portal.deals")


@pages.get("/deals/<uuid:deal_id>/withdraw", permission=REGISTER)
def withdraw(deal_id: UUID) -> ResponseReturnValue:
    """Ask before a deal loses its place in line."""
    return _ask(deal_id, "Withdraw this deal?", "It loses its place in line; another partner may be next.", "Withdraw")


@pages.post("/deals/<uuid:deal_id>/withdraw", permission=REGISTER)
def confirm_withdraw(deal_id: UUID) -> ResponseReturnValue:
    """Take a submitted deal back."""
    return _act(deal_id, lambda session, deal: service.withdraw_deal(session, deal), "The deal is withdrawn.")


@pages.get("/deals/<uuid:deal_id>/won", permission=REGISTER)
def close_won(deal_id: UUID) -> ResponseReturnValue:
    """Ask before a deal is closed as won."""
    return _ask(deal_id, "Close this deal as won?", "It cannot be opened again.", "Won", danger=False)


@pages.post("/deals/<uuid:deal_id>/won", permission=REGISTER)
def confirm_won(deal_id: UUID) -> ResponseReturnValue:
    """The customer signed."""
    return _act(
        deal_id, lambda session, deal: service.close_won(session, deal, role=Role.PARTNER), "Congratulations: won."
    )


@pages.get("/deals/<uuid:deal_id>/lost", permission=REGISTER)
def close_lost(deal_id: UUID) -> ResponseReturnValue:
    """Ask why a deal was lost."""
    with reading() as session:
        return _lost_form(_own(session, deal_id))


@pages.post("/deals/<uuid:deal_id>/lost", permission=REGISTER)
def confirm_lost(deal_id: UUID) -> ResponseReturnValue:
    """The customer went elsewhere."""
    reason = request.form.get("reason", "")
    try:
        return _act(
            deal_id,
            lambda session, deal: service.close_lost(session, deal, role=Role.PARTNER, reason=reason),
            "The deal is closed as lost.",
        )
    except RuleBroken as refusal:
        if not refusal.fields:
            raise
        with reading() as session:
            return _lost_form(_own(session, deal_id), refusal.fields), 422


# The firm's review ----------------------------------------------------------------------------------------------------


@pages.get("/review", permission=REVIEW)
def review_queue() -> ResponseReturnValue:
    """What waits for a decision, the one that is due first on top."""
    listing = _listing("partner_portal.review_queue", contexts.REVIEW_TABS, "waiting")
    with reading() as session:
        return render("partner_portal/review_queue.html", **contexts.review_list(session, listing))


@pages.get("/review/<uuid:deal_id>", permission=REVIEW)
def review(deal_id: UUID) -> ResponseReturnValue:
    """One deal beside what stands in its way."""
    with reading() as session:
        return _review(session, deal_id)


@pages.post("/review/<uuid:deal_id>/decide", permission=REVIEW)
def decide(deal_id: UUID) -> ResponseReturnValue:
    """Approve or reject."""
    entered = {"reason": request.form.get("reason", ""), "text": request.form.get("text", "")}
    decisions: dict[str, tuple[Callable[[Session, Deal], Any], str]] = {
        "approve": (service.approve_deal, "The deal is approved and protected."),
        "reject": (lambda session, deal: service.reject_deal(session, deal, **entered), "The deal is rejected."),
    }
    if request.form.get("action") not in decisions:
        raise RuleBroken("Choose to approve or to reject.", code="validation")
    work, done = decisions[request.form["action"]]
    try:
        transact(lambda session: work(session, service.reviewed_deal(session, deal_id, lock=True)) and None)
    except RuleBroken as refusal:
        with reading() as session:
            return _review(session, deal_id, values=entered, errors=refusal.fields or {"": str(refusal)}), 422
    flash("good", done)
    return redirect_to("partner_portal.review_queue")


# What views share -----------------------------------------------------------------------------------------------------


def _own(session: Session, deal_id: UUID) -> Deal:
    return service.own_deal(session, my_partner(session), deal_id)


def _listing(endpoint: str, tabs: dict[str, Any], default: str) -> contexts.Listing:
    show = request.args.get("show", default)
    page = request.args.get("page", 1, type=int)
    return contexts.Listing(endpoint, show if show in tabs else default, min(max(page, 1), 100_000))


def _step() -> int:
    return 2 if request.args.get("step") == "2" else 1


def _form(session: Session, deal_id: UUID | None, **context: Any) -> str:
    draft = _own(session, deal_id) if deal_id else None
    return render("partner_portal/deal_form.html", **contexts.form_page(session, my_partner(session), draft, **context))


def _save(keep: Callable[[Session, dict[str, Any]], Deal], deal_id: UUID | None) -> ResponseReturnValue:
    """One press of a button of the form: next, save, submit or back. It is kept before it is submitted."""
    step, action = _step(), request.form.get("action", "save")
    try:
        values = _entered(step, request.form)
        saved_id, answer = transact(lambda session: _kept(session, keep(session, values), action))
    except RuleBroken as refusal:
        with reading() as session:
            return _form(session, deal_id, step=step, values=_shown(request.form), errors=refusal.fields), 422
    if action == "submit":
        return _submit(saved_id)
    if action in ("next", "back"):
        wanted = 2 if action == "next" else 1
        return redirect_to("partner_portal.edit_deal", deal_id=saved_id, step=wanted, answer=answer or None)
    flash("good", "The draft is saved.")
    return redirect_to("partner_portal.deal", deal_id=saved_id)


def _submit(deal_id: UUID) -> ResponseReturnValue:
    """Hand the draft in, or show the step where the first thing is missing."""
    try:
        transact(lambda session: service.submit_deal(session, _own(session, deal_id)) and None)
    except RuleBroken as refusal:
        step = 1 if _CUSTOMER_FIELDS & refusal.fields.keys() else 2
        with reading() as session:
            return _form(session, deal_id, step=step, errors=refusal.fields or {"": str(refusal)}), 422
    flash("good", "Your deal is submitted. We answer within two business days.")
    return redirect_to("partner_portal.deal", deal_id=deal_id)


def _kept(session: Session, draft: Deal, action: str) -> tuple[UUID, str]:
    """The draft's id; and after the first step, whether its customer is free."""
    session.flush()
    return draft.id, _answer(session, draft) if action == "next" else ""


def _answer(session: Session, draft: Deal) -> str:
    """The pre-check of a draft; before products are chosen, what is taken for some may be free for others."""
    codes = list(draft.products) or [family.code for family in families(session)]
    try:
        found = precheck(
            session, draft.partner, draft.customer_as_typed(), codes, today=programme(session).today()
        ).answer
    except RuleBroken:  # too many questions: the form goes on without an answer
        return ""
    return "possible" if found == "taken" and not draft.products else found


def _entered(step: int, form: MultiDict[str, str]) -> dict[str, Any]:
    """What a step's fields say, in the types of the deal. Raises RuleBroken for what cannot be read."""
    values: dict[str, Any] = {name: form.get(name, "") for name in _STEP_FIELDS[step]}
    if step == 1:
        return {**values, "consent_to_contact": "consent" in form}
    return {
        **values,
        "products": form.getlist("products"),
        "amount": _amount(form.get("amount", "")),
        "target_close_on": _day(form.get("target_close_on", "")),
    }


_PLAIN = re.compile(r"\d+([.,]\d{1,2})?|\d{4,}\.\d{3,}")
_POINT_FOR_DECIMALS = re.compile(r"\d{1,3}([, ])\d{3}(\1\d{3})*(\.\d{1,3})?")
_COMMA_FOR_DECIMALS = re.compile(r"\d{1,3}([. ])\d{3}(\1\d{3})*,\d{1,2}")


def _amount(text: str) -> Decimal | None:
    """The amount that was meant; refused where a mark could as well part thousands as decimals."""
    written = text.strip().replace("\N{NO-BREAK SPACE}", " ")
    if not written:
        return None
    if _PLAIN.fullmatch(written):
        return Decimal(written.replace(",", "."))
    if _POINT_FOR_DECIMALS.fullmatch(written):
        return Decimal(written.replace(",", "").replace(" ", ""))
    if _COMMA_FOR_DECIMALS.fullmatch(written):
        return Decimal(written.replace(".", "").replace(" ", "").replace(",", "."))
    raise RuleBroken(
        f"“{text}” is not an amount.", fields={"amount": f"“{text}” is not an amount. Write it like 25000.00."}
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise RuleBroken(
            f"“{text}” is not a day.", fields={"target_close_on": f"“{text}” is not a day. Write it like 2027-03-31."}
        ) from None


def _shown(form: MultiDict[str, str]) -> dict[str, Any]:
    return {**form.to_dict(), "products": form.getlist("products"), "consent": "consent" in form}


def _ask(deal_id: UUID, title: str, text: str, button: str, *, danger: bool = True) -> ResponseReturnValue:
    with reading() as session:
        about = _own(session, deal_id)
        return render(
            "confirm.html",
            title=title,
            text=f"{about.number} {about.title}: {text}",
            href=request.path,
            button=button,
            danger=danger,
            back=url_for("partner_portal.deal", deal_id=deal_id),
        )


def _act(deal_id: UUID, work: Callable[[Session, Deal], Any], done: str) -> ResponseReturnValue:
    transact(lambda session: work(session, _own(session, deal_id)) and None)
    flash("good", done)
    return redirect_to("partner_portal.deal", deal_id=deal_id)


def _lost_form(about: Deal, errors: dict[str, str] | None = None) -> str:
    return render(
        "partner_portal/deal_lost.html",
        deal={"id": about.id, "title": about.title, "number": about.number},
        reasons=list(LOSS_REASONS.items()),
        errors=errors or {},
    )


def _review(session: Session, deal_id: UUID, **context: Any) -> str:
    other_id = request.args.get("beside", type=UUID)
    other = service.reviewed_deal(session, other_id) if other_id else None
    about = service.reviewed_deal(session, deal_id)
    page = contexts.review_page(session, about, actor=current_user().actor, other=other)
    return render("partner_portal/review.html", **page, **context)
