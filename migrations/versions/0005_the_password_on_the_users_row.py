"""the password's version on the user's row, which is the one that a sign-in locks

Nothing is copied into it: what is compared is the column as it was when the sign-in began and as it is when it ends.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("user") as batch_op:
        batch_op.add_column(sa.Column("password_version", sa.String(length=36), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("user") as batch_op:
        batch_op.drop_column("password_version")
