"""Importing other systems' exports: check first, then bring in; the rows to mend come back as a file."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flask import request, send_file, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.audit import AuditEntry
from hub.core.errors import NotFound, RuleBroken
from hub.core.timesheets.models import ImportBatch
from hub.imports.batches import undo_import
from hub.imports.faults import ImportSummary
from hub.imports.layouts import TIME_LAYOUTS, Layout
from hub.imports.record_import import RECORD_IMPORTS, import_records
from hub.imports.time_import import import_time
from hub.web.actors import actor_names
from hub.web.current import current_hub, current_user, reading
from hub.web.display import words
from hub.web.form_values import form_errors, posted_text
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render
from hub.web.uploads import Upload, faults_of, new_upload, upload_named

_EARLIER: Final = 20
_EMPTY: Final = {"kind": "time", "layout": "", "create": False}


@pages.get("/import", permission="imports.write")
def imports() -> ResponseReturnValue:
    """The form, and what was imported before."""
    return _page(_EMPTY, {}, None)


@pages.post("/import", permission="imports.write", endpoint="imports_sent")
def imports_sent() -> ResponseReturnValue:
    """Check a file, or bring it in. A file that was checked is kept, so that it need not be chosen again."""
    values = {"kind": posted_text("kind"), "layout": posted_text("layout"), "create": posted_text("create") == "true"}
    dry_run = posted_text("action") != "import"
    try:
        upload = _upload()
        summary = _bring(upload, values, dry_run=dry_run)
    except RuleBroken as refused:
        return _page(values, _about_the_file(refused), None), 422
    return _page(values, {}, _report(summary, upload, values, dry_run=dry_run))


@pages.get("/import/<uuid:upload_id>/rows-to-mend", permission="imports.write")
def import_faults(upload_id: UUID) -> ResponseReturnValue:
    """The rows of a file that could not be brought in, each with its reason: mend them and import that file."""
    path = faults_of(upload_named(str(upload_id)))
    return send_file(path, mimetype="text/csv", as_attachment=True, download_name=path.name, max_age=0)


@pages.get("/import/batches/<uuid:batch_id>/undo", permission="imports.write")
def undo_batch(batch_id: UUID) -> ResponseReturnValue:
    """Ask before the time of an import is taken out again."""
    with reading() as session:
        batch = session.get(ImportBatch, batch_id)
    if batch is None:
        raise NotFound(f"There is no import with the id {batch_id}.")
    return render(
        "confirm.html",
        title="Undo this import?",
        text=f"The time entries from {batch.file_name} are taken out again.",
        consequences=["It is refused if one of them was changed or submitted since.", "Clients and projects stay."],
        href=url_for("pages.undo_batch_sent", batch_id=batch_id),
        button="Undo import",
        danger=True,
        back=url_for("pages.imports"),
    )


@pages.post("/import/batches/<uuid:batch_id>/undo", permission="imports.write", endpoint="undo_batch_sent")
def undo_batch_sent(batch_id: UUID) -> ResponseReturnValue:
    """Take the time of an import out again."""
    try:
        removed = undo_import(current_hub(), batch_id, actor=current_user().actor)
    except RuleBroken as refused:
        flash("bad", str(refused))
    else:
        entries = "time entry is" if removed == 1 else "time entries are"
        flash("good", f"{removed:,} {entries} taken out again.")
    return redirect_to("pages.imports")


def _upload() -> Upload:
    """The file that came with the form, or the one that was checked before."""
    kept = posted_text("upload")
    if kept:
        return upload_named(kept)
    file = request.files.get("file")
    if file is None or not file.filename:
        raise RuleBroken("Choose a file.", fields={"file": "is needed"})
    return new_upload(file)


def _bring(upload: Upload, values: dict[str, Any], *, dry_run: bool) -> ImportSummary:
    given: dict[str, Any] = {
        "name": upload.name,
        "create": values["create"],
        "dry_run": dry_run,
        "faults_folder": upload.folder_for_faults(),
        "actor": current_user().actor,
    }
    if values["kind"] in RECORD_IMPORTS:
        return import_records(current_hub(), values["kind"], upload.path, **given)
    if values["kind"] != "time":
        raise RuleBroken("Say what the file holds.", fields={"kind": "is needed"})
    layouts = _layouts()
    return import_time(current_hub(), upload.path, layout=values["layout"] or None, layouts=layouts, **given)


def _layouts() -> list[Layout]:
    """The hub's layouts of time, and those of plugins."""
    contributed = [item for _, item in current_hub().plugins.hooks.collect("import_layouts")]
    return [*TIME_LAYOUTS, *(item for item in contributed if isinstance(item, Layout))]


def _about_the_file(refused: RuleBroken) -> dict[str, str]:
    """What is wrong with the file itself stands beside it."""
    errors = form_errors(refused)
    known = {name: text for name, text in errors.items() if name in ("file", "kind", "layout")}
    return known or {"file": str(refused)}


def _report(summary: ImportSummary, upload: Upload, values: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
    counts = summary.as_json()
    is_time = values["kind"] == "time"
    rejected = url_for("pages.import_faults", upload_id=upload.id) if summary.faults_file else None
    return {
        "dry_run": dry_run,
        "rows": summary.rows,
        "created": summary.created,
        "unchanged": summary.unchanged,
        "rejected": summary.rejected,
        "hours": counts["hours"] if is_time else None,
        "rejected_hours": counts["rejected_hours"] if is_time else None,
        "faults": counts["faults"],
        "faults_href": rejected,
        "upload": str(upload.id) if dry_run and summary.created else None,
        "file_name": upload.name,
    }


def _page(values: dict[str, Any], errors: dict[str, str], report: dict[str, Any] | None) -> str:
    with reading() as session:
        batches = _batches(session)
    return render(
        "pages/imports.html",
        kinds=[(name, words(name)) for name in ("time", *RECORD_IMPORTS)],
        layouts=[(each.name, words(each.name)) for each in _layouts()],
        values=values,
        errors=errors,
        report=report,
        batches=batches,
    )


def _batches(session: Session) -> list[dict[str, Any]]:
    """The newest imports of time, with who brought them in."""
    found = session.scalars(select(ImportBatch).order_by(ImportBatch.id.desc()).limit(_EARLIER)).all()
    made = select(AuditEntry.record_id, AuditEntry.actor).where(
        AuditEntry.record_kind == ImportBatch.__tablename__,
        AuditEntry.action == "create",
        AuditEntry.record_id.in_([batch.id for batch in found]),
    )
    actors = dict(session.execute(made).all())
    names = actor_names(session, actors.values())
    return [_batch(batch, names.get(actors.get(batch.id, ""), "")) for batch in found]


def _batch(batch: ImportBatch, who: str) -> dict[str, Any]:
    open_for_undo = batch.undone_at is None and batch.published_at is not None
    return {
        "id": batch.id,
        "at": batch.created_at,
        "who": who,
        "kind": batch.kind,
        "file_name": batch.file_name,
        **{name: batch.counts.get(name, 0) for name in ("rows", "created", "rejected")},
        "undone_at": batch.undone_at,
        "undo_href": url_for("pages.undo_batch", batch_id=batch.id) if open_for_undo else None,
    }
