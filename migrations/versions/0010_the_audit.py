"""what administrators and users did, and the chain that shows whether it was changed afterwards

Rows refer to no pool and no user, because they outlive both.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pool_id", sa.String(55), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("operation", sa.String(128), nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("user_sub", sa.String(36), nullable=True),
        sa.Column("target", sa.String(512), nullable=False),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.String(512), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("mac", sa.String(43), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(43), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
        sa.UniqueConstraint("pool_id", "number", name="uq_audit_event_pool_id_number"),
    )
    op.create_index("ix_audit_event_at_id", "audit_event", ["at", "id"])
    op.create_index("ix_audit_event_pool_id_at_id", "audit_event", ["pool_id", "at", "id"])
    op.create_index("ix_audit_event_user_sub_at", "audit_event", ["user_sub", "at"])
    unlinked = sa.text("number IS NULL")
    op.create_index(
        "ix_audit_event_unlinked",
        "audit_event",
        ["number", "pool_id"],
        postgresql_where=unlinked,
        sqlite_where=unlinked,
    )
    op.create_table(
        "audit_chain",
        sa.Column("pool_id", sa.String(55), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(43), nullable=False),
        sa.Column("forgotten", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_digest", sa.String(43), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False),
        sa.Column("mac", sa.String(43), nullable=False),
        sa.PrimaryKeyConstraint("pool_id", name="pk_audit_chain"),
    )


def downgrade() -> None:
    op.drop_table("audit_chain")
    op.drop_table("audit_event")
