"""The record kinds of the core itself."""

from __future__ import annotations

from typing import Final

from hub.core.clients import service as clients
from hub.core.clients.models import Client, Contact
from hub.core.companies.models import Company
from hub.core.invoicing import service as invoicing
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.kinds import RecordKind
from hub.core.payments import service as payments
from hub.core.payments.models import Payment
from hub.core.people import service as people
from hub.core.people.models import Person
from hub.core.projects import service as projects
from hub.core.projects.models import Project, Task
from hub.core.records import (
    ClientRecord,
    CompanyRecord,
    ContactRecord,
    InvoiceRecord,
    PaymentRecord,
    PersonRecord,
    ProjectRecord,
    ServiceRecord,
    TaskRecord,
    TimeEntryRecord,
)
from hub.core.services import service as services
from hub.core.services.models import Service
from hub.core.timesheets import service as timesheets
from hub.core.timesheets.models import TimeEntry

CORE_KINDS: Final = (
    RecordKind(
        name="companies",
        title="Companies",
        model=Company,
        record=CompanyRecord,
        load=lambda session, ids: [session.get_one(Company, id).to_record() for id in ids],
        label=lambda company: company.name,
    ),
    RecordKind(
        name="services",
        title="Services",
        model=Service,
        record=ServiceRecord,
        load=services.load_services,
        label=lambda service: service.name,
        owed=Service.active.is_(True),
    ),
    RecordKind(
        name="people",
        title="People",
        model=Person,
        record=PersonRecord,
        load=people.load_people,
        label=lambda person: person.name,
    ),
    RecordKind(
        name="clients",
        title="Clients",
        model=Client,
        record=ClientRecord,
        load=clients.load_clients,
        label=lambda client: client.name,
        owed=Client.archived_at.is_(None),
        apply=clients.apply_client_change,
        create=lambda session, many: [client.id for client in clients.create_clients(session, many)],
        match=clients.match_clients,
        page="/clients/{id}",
    ),
    RecordKind(
        name="contacts",
        title="Contacts",
        model=Contact,
        record=ContactRecord,
        load=clients.load_contacts,
        label=lambda contact: f"{contact.first_name} {contact.last_name}".strip(),
        apply=clients.apply_contact_change,
        create=lambda session, many: [contact.id for contact in clients.create_contacts(session, many)],
        match=clients.match_contacts,
    ),
    RecordKind(
        name="projects",
        title="Projects",
        model=Project,
        record=ProjectRecord,
        load=projects.load_projects,
        label=lambda project: project.name,
        dated_by=Project.starts_on,
        conditions={"company": Project.company_id},
        apply=projects.apply_project_change,
        match=projects.match_projects,
        page="/projects/{id}",
    ),
    RecordKind(
        name="tasks",
        title="Tasks",
        model=Task,
        record=TaskRecord,
        load=projects.load_tasks,
        label=lambda task: task.name,
    ),
    RecordKind(
        name="time_entries",
        title="Time entries",
        model=TimeEntry,
        record=TimeEntryRecord,
        load=timesheets.load_time,
        label=lambda entry: f"{entry.worked_on} {entry.note}".strip(),
    ),
    RecordKind(
        name="invoices",
        title="Invoices",
        model=Invoice,
        record=InvoiceRecord,
        load=invoicing.load_invoices,
        label=lambda invoice: f"{invoice.number} {invoice.client_name}".strip(),
        owed=(Invoice.status != InvoiceStatus.DRAFT) & Invoice.imported.is_(False),
        dated_by=Invoice.dated_on,
        conditions={"company": Invoice.company_id},
        documents=invoicing.invoice_documents,
        page="/invoices/{id}",
    ),
    RecordKind(
        name="payments",
        title="Payments",
        model=Payment,
        record=PaymentRecord,
        load=payments.load_payments,
        label=lambda payment: payment.reference or str(payment.received_on),
        owed=Payment.id.is_not(None),
        dated_by=Payment.received_on,
        apply=payments.apply_payment_change,
        documents=payments.payment_documents,
        withdraw=payments.withdraw_payment,
    ),
)
"""Parents before their children."""
