"""a code remembers the browser that asked for it; passwords have an SRP verifier by the sub, too"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("authorization_code") as batch_op:
        batch_op.add_column(sa.Column("ip", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("user_agent", sa.Text(), nullable=True))
    with op.batch_alter_table("password") as batch_op:
        batch_op.add_column(sa.Column("srp_sub_verifier", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("password") as batch_op:
        batch_op.drop_column("srp_sub_verifier")
    with op.batch_alter_table("authorization_code") as batch_op:
        batch_op.drop_column("user_agent")
        batch_op.drop_column("ip")
