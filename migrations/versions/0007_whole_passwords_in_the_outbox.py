"""the outbox keeps temporary passwords of any length

One that was longer than 64 characters made the invitation fail on PostgreSQL.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox_message") as batch_op:
        batch_op.alter_column("code", existing_type=sa.String(length=64), type_=sa.Text(), existing_nullable=True)


def downgrade() -> None:
    # Messages of development, kept for a while only: what would not fit any more is cut.
    op.execute(sa.text("UPDATE outbox_message SET code = substr(code, 1, 64) WHERE length(code) > 64"))
    with op.batch_alter_table("outbox_message") as batch_op:
        batch_op.alter_column("code", existing_type=sa.Text(), type_=sa.String(length=64), existing_nullable=True)
