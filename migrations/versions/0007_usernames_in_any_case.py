"""usernames that are searched for in any letter case, and temporary passwords of any length in the outbox

One that was longer than 64 characters made the invitation fail on PostgreSQL.
"""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("outbox_message") as batch_op:
        batch_op.alter_column("code", existing_type=sa.String(length=64), type_=sa.Text(), existing_nullable=True)
    op.add_column("user", sa.Column("username_key", KEY, nullable=True))
    fill_keys()
    op.create_index(
        "ix_user_username_key",
        "user",
        ["pool_id", "username_key", "sub"],
        unique=False,
        sqlite_where=sa.text("username_key IS NOT NULL"),
        postgresql_where=sa.text("username_key IS NOT NULL"),
    )


def fill_keys() -> None:
    """What a search compares, for the users that are there."""
    user = sa.table("user", *(sa.column(name, sa.String) for name in ("sub", "username", "username_key")))
    connection = op.get_bind()
    fill = sa.update(user).where(user.c.sub == sa.bindparam("of")).values(username_key=sa.bindparam("key"))
    after = ""
    while True:
        page = sa.select(user.c.sub, user.c.username).where(user.c.sub > after).order_by(user.c.sub).limit(1000)
        rows = connection.execute(page).all()
        if not rows:
            return
        connection.execute(fill, [{"of": row.sub, "key": folded(row.username)} for row in rows])
        after = rows[-1].sub


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())[:512]


def downgrade() -> None:
    op.drop_index("ix_user_username_key", table_name="user")
    op.drop_column("user", "username_key")
    # Messages of development, kept for a while only: what would not fit any more is cut.
    op.execute(sa.text("UPDATE outbox_message SET code = substr(code, 1, 64) WHERE length(code) > 64"))
    with op.batch_alter_table("outbox_message") as batch_op:
        batch_op.alter_column("code", existing_type=sa.Text(), type_=sa.String(length=64), existing_nullable=True)
