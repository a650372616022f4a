"""tokens for resources, redirect URIs that stand in, and custom domains that are proven

A custom domain that was there before stays in service: its pool had it first, and its users sign in there.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("authorization_code") as batch_op:
        batch_op.add_column(sa.Column("redirect_uri_stated", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch_op.add_column(sa.Column("resource", sa.Text(), nullable=True))

    with op.batch_alter_table("login_session") as batch_op:
        batch_op.add_column(sa.Column("audience", sa.Text(), nullable=True))

    with op.batch_alter_table("domain") as batch_op:
        batch_op.add_column(sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE domain SET proven_at = created_at")


def downgrade() -> None:
    with op.batch_alter_table("domain") as batch_op:
        batch_op.drop_column("tried_at")
        batch_op.drop_column("proven_at")

    with op.batch_alter_table("login_session") as batch_op:
        batch_op.drop_column("audience")

    with op.batch_alter_table("authorization_code") as batch_op:
        batch_op.drop_column("resource")
        batch_op.drop_column("redirect_uri_stated")
