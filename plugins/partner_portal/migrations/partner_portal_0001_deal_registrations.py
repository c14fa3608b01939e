"""Deal registrations, claims and the partner programme."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from hub.sdk.tables import uuid7

revision = "partner_portal_0001"
down_revision = None
branch_labels = ("partner_portal",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "partner_partner",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_partner")),
        sa.UniqueConstraint("name", name=op.f("uq_partner_partner_name")),
    )
    op.create_table(
        "partner_product_family",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_product_family")),
        sa.UniqueConstraint("code", name=op.f("uq_partner_product_family_code")),
    )
    op.create_table(
        "partner_programme",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("only_row", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("protection_days", sa.Integer(), nullable=False),
        sa.Column("next_number", sa.Integer(), nullable=False),
        sa.Column("next_place", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("only_row = 1", name=op.f("ck_partner_programme_one_row")),
        sa.CheckConstraint(
            "protection_days BETWEEN 1 AND 730", name=op.f("ck_partner_programme_protection_within_two_years")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_programme")),
        sa.UniqueConstraint("only_row", name=op.f("uq_partner_programme_only_row")),
    )
    op.create_table(
        "partner_deal_registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("customer_name", sa.String(), nullable=False),
        sa.Column("customer_website", sa.String(), nullable=False),
        sa.Column("no_website_reason", sa.String(), nullable=False),
        sa.Column("customer_country", sa.String(), nullable=False),
        sa.Column("customer_region", sa.String(), nullable=False),
        sa.Column("customer_city", sa.String(), nullable=False),
        sa.Column("customer_postcode", sa.String(), nullable=False),
        sa.Column("customer_street", sa.String(), nullable=False),
        sa.Column("customer_tax_id", sa.String(), nullable=False),
        sa.Column("customer_duns", sa.String(), nullable=False),
        sa.Column("contact_name", sa.String(), nullable=False),
        sa.Column("contact_email", sa.String(), nullable=False),
        sa.Column("contact_phone", sa.String(), nullable=False),
        sa.Column("contact_role", sa.String(), nullable=False),
        sa.Column("consent_to_contact", sa.Boolean(), nullable=True),
        sa.Column("business_problem", sa.Text(), nullable=False),
        sa.Column("products", sa.JSON(), nullable=False),
        sa.Column("deal_type", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("recurrence", sa.String(), nullable=False),
        sa.Column("target_close_on", sa.Date(), nullable=True),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("involvement", sa.String(), nullable=False),
        sa.Column("help_needed", sa.JSON(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted_by", sa.String(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("rejection_reason", sa.String(), nullable=True),
        sa.Column("rejection_text", sa.Text(), nullable=False),
        sa.Column("approved_on", sa.Date(), nullable=True),
        sa.Column("protected_until", sa.Date(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("loss_reason", sa.String(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("match_name", sa.String(), nullable=False),
        sa.Column("match_tax_id", sa.String(), nullable=False),
        sa.Column("match_domain", sa.String(), nullable=False),
        sa.Column("match_duns", sa.String(), nullable=False),
        sa.Column("match_postcode", sa.String(), nullable=False),
        sa.Column("match_city", sa.String(), nullable=False),
        sa.Column("match_contact_domain", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["partner_partner.id"], name=op.f("fk_partner_deal_registration_partner_id_partner_partner")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_deal_registration")),
        sa.UniqueConstraint("number", name=op.f("uq_partner_deal_registration_number")),
        sa.UniqueConstraint(
            "partner_id", "external_id", name=op.f("uq_partner_deal_registration_partner_id_external_id")
        ),
        sa.UniqueConstraint("place", name=op.f("uq_partner_deal_registration_place")),
    )
    op.create_index(
        "ix_partner_deal_registration_country_state",
        "partner_deal_registration",
        ["customer_country", "state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_partner_deal_registration_match_tax_id"), "partner_deal_registration", ["match_tax_id"], unique=False
    )
    op.create_index(
        op.f("ix_partner_deal_registration_partner_id"), "partner_deal_registration", ["partner_id"], unique=False
    )
    op.create_table(
        "partner_precheck",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_name", sa.String(), nullable=False),
        sa.Column("customer_domain", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["partner_partner.id"], name=op.f("fk_partner_precheck_partner_id_partner_partner")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_precheck")),
    )
    op.create_index(
        "ix_partner_precheck_partner_id_asked_at", "partner_precheck", ["partner_id", "asked_at"], unique=False
    )
    op.create_table(
        "partner_user",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["partner_partner.id"], name=op.f("fk_partner_user_partner_id_partner_partner")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_user")),
        sa.UniqueConstraint("user_id", name=op.f("uq_partner_user_user_id")),
    )
    op.create_index(op.f("ix_partner_user_partner_id"), "partner_user", ["partner_id"], unique=False)
    op.create_table(
        "partner_claim",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_key", sa.String(), nullable=False),
        sa.Column("product_family", sa.String(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("protected_until", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deal_id"],
            ["partner_deal_registration.id"],
            name=op.f("fk_partner_claim_deal_id_partner_deal_registration"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_claim")),
        sa.UniqueConstraint(
            "customer_key", "product_family", name=op.f("uq_partner_claim_customer_key_product_family")
        ),
    )
    op.create_index(op.f("ix_partner_claim_deal_id"), "partner_claim", ["deal_id"], unique=False)
    op.create_table(
        "partner_deal_evidence",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deal_id", sa.Uuid(), nullable=False),
        sa.Column("other_deal_id", sa.Uuid(), nullable=False),
        sa.Column("found_by", sa.String(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("match", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value_hash", sa.String(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deal_id"],
            ["partner_deal_registration.id"],
            name=op.f("fk_partner_deal_evidence_deal_id_partner_deal_registration"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_deal_evidence")),
    )
    op.create_index(op.f("ix_partner_deal_evidence_deal_id"), "partner_deal_evidence", ["deal_id"], unique=False)
    _seed_the_programme()


def _seed_the_programme() -> None:
    """The programme is one row, there from the start, so that nobody has to race for making it."""
    table = sa.table(
        "partner_programme",
        sa.column("id", sa.Uuid()),
        sa.column("revision", sa.Integer()),
        sa.column("only_row", sa.Integer()),
        sa.column("time_zone", sa.String()),
        sa.column("protection_days", sa.Integer()),
        sa.column("next_number", sa.Integer()),
        sa.column("next_place", sa.Integer()),
        sa.column("created_at", sa.DateTime(timezone=True)),
        sa.column("updated_at", sa.DateTime(timezone=True)),
    )
    now = datetime.now(UTC)
    row = {"id": uuid7(), "revision": 1, "only_row": 1, "time_zone": "UTC", "protection_days": 90}
    op.bulk_insert(table, [{**row, "next_number": 1, "next_place": 1, "created_at": now, "updated_at": now}])


def downgrade() -> None:
    op.drop_index(op.f("ix_partner_deal_evidence_deal_id"), table_name="partner_deal_evidence")
    op.drop_table("partner_deal_evidence")
    op.drop_index(op.f("ix_partner_claim_deal_id"), table_name="partner_claim")
    op.drop_table("partner_claim")
    op.drop_index(op.f("ix_partner_user_partner_id"), table_name="partner_user")
    op.drop_table("partner_user")
    op.drop_index("ix_partner_precheck_partner_id_asked_at", table_name="partner_precheck")
    op.drop_table("partner_precheck")
    op.drop_index(op.f("ix_partner_deal_registration_partner_id"), table_name="partner_deal_registration")
    op.drop_index(op.f("ix_partner_deal_registration_match_tax_id"), table_name="partner_deal_registration")
    op.drop_index("ix_partner_deal_registration_country_state", table_name="partner_deal_registration")
    op.drop_table("partner_deal_registration")
    op.drop_table("partner_programme")
    op.drop_table("partner_product_family")
    op.drop_table("partner_partner")
