"""the directory: names, groups, branding, terms, limits of access keys, changes of pools"""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


WITH_KEY = ("email", "preferred_username", "name", "given_name", "family_name")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def bytewise(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def plain(length: int) -> sa.types.TypeEngine[str]:
    """In the database's own order, as `bytewise` was before."""
    return sa.String(length).with_variant(sa.String(length, collation="default"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "provisioned_limit",
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("category", name=op.f("pk_provisioned_limit")),
    )
    op.create_table(
        "group",
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("name", bytewise(128), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("role_arn", sa.Text(), nullable=True),
        sa.Column("precedence", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_group_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool_id", "name", name=op.f("pk_group")),
    )
    op.create_table(
        "pool_change",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("before", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("after", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cursor", sa.String(length=36), nullable=True),
        sa.Column("runner", sa.String(length=36), nullable=True),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_pool_change_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool_change")),
    )
    with op.batch_alter_table("pool_change", schema=None) as batch_op:
        batch_op.create_index("ix_pool_change_pool_id", ["pool_id", "created_at"], unique=False)

    op.create_table(
        "ui_customization",
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("css", sa.Text(), nullable=True),
        sa.Column("css_version", sa.String(length=32), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=True),
        sa.Column("image_type", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_ui_customization_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool_id", "client_id", name=op.f("pk_ui_customization")),
    )
    op.create_table(
        "former_password",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_sub"], ["user.sub"], name=op.f("fk_former_password_user_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_password")),
    )
    with op.batch_alter_table("former_password", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_former_password_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "managed_login_branding",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("provided", sa.Boolean(), nullable=False),
        sa.Column("settings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_managed_login_branding_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["pool.id"], name=op.f("fk_managed_login_branding_pool_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_managed_login_branding")),
        sa.UniqueConstraint("client_id", name=op.f("uq_managed_login_branding_client_id")),
    )
    with op.batch_alter_table("managed_login_branding", schema=None) as batch_op:
        batch_op.create_index("ix_managed_login_branding_pool_id", ["pool_id"], unique=False)

    op.create_table(
        "membership",
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("group_name", bytewise(128), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id", "group_name"],
            ["group.pool_id", "group.name"],
            name=op.f("fk_membership_pool_id_group_name"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_membership_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_sub", "group_name", name=op.f("pk_membership")),
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index("ix_membership_group", ["pool_id", "group_name", "user_sub"], unique=False)

    op.create_table(
        "terms",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("enforcement", sa.String(length=16), nullable=False),
        sa.Column("links", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_terms_client_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_terms_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms")),
        sa.UniqueConstraint("client_id", "name", name=op.f("uq_terms_client_id_name")),
    )
    with op.batch_alter_table("terms", schema=None) as batch_op:
        batch_op.create_index("ix_terms_pool_id", ["pool_id", "id"], unique=False)

    op.create_table(
        "branding_asset",
        sa.Column("branding_id", sa.String(length=36), nullable=False),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("color_mode", sa.String(length=8), nullable=False),
        sa.Column("extension", sa.String(length=8), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("resource_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["branding_id"],
            ["managed_login_branding.id"],
            name=op.f("fk_branding_asset_branding_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("branding_id", "category", "color_mode", name=op.f("pk_branding_asset")),
    )
    with op.batch_alter_table("access_key", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pools", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True))
        batch_op.add_column(
            sa.Column("actions", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )

    with op.batch_alter_table("alias") as batch_op:
        batch_op.add_column(sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
        batch_op.drop_constraint("pk_alias", type_="primary")
        batch_op.create_primary_key("pk_alias", ["pool_id", "generation", "attribute", "value"])
    with op.batch_alter_table("alias") as batch_op:
        batch_op.alter_column("generation", existing_type=sa.Integer(), server_default=None)

    with op.batch_alter_table("pool") as batch_op:
        batch_op.add_column(sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(
            sa.Column("building", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )

    with op.batch_alter_table("pool") as batch_op:
        batch_op.alter_column("generation", existing_type=sa.Integer(), server_default=None)

    # A username becomes a name among others.
    op.execute(
        """INSERT INTO alias (pool_id, generation, attribute, value, user_sub)
        SELECT pool_id, 0, 'username', username_key, sub FROM "user"
        """
    )
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.alter_column("username", existing_type=sa.String(length=128), type_=bytewise(128))
        batch_op.alter_column("phone_number", existing_type=sa.String(length=64), type_=bytewise(64))
        batch_op.add_column(sa.Column("email_key", bytewise(512), nullable=True))
        batch_op.add_column(sa.Column("preferred_username_key", bytewise(512), nullable=True))
        batch_op.add_column(sa.Column("name_key", bytewise(512), nullable=True))
        batch_op.add_column(sa.Column("given_name_key", bytewise(512), nullable=True))
        batch_op.add_column(sa.Column("family_name_key", bytewise(512), nullable=True))
        batch_op.add_column(
            sa.Column("retired", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )
        batch_op.drop_index(batch_op.f("ix_user_pool_id_email"))
        batch_op.drop_index(batch_op.f("ix_user_pool_id_phone_number"))
        batch_op.drop_index(batch_op.f("ix_user_pool_id_preferred_username"))
        batch_op.drop_index(batch_op.f("ix_user_pool_id_status"))
        batch_op.drop_constraint(batch_op.f("uq_user_pool_id_username_key"), type_="unique")
        batch_op.drop_column("username_key")

    fill_keys()
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.create_index(
            "ix_user_email_key",
            ["pool_id", "email_key", "sub"],
            unique=False,
            sqlite_where=sa.text("email_key IS NOT NULL"),
            postgresql_where=sa.text("email_key IS NOT NULL"),
        )
        batch_op.create_index("ix_user_enabled", ["pool_id", "enabled", "created_at", "sub"], unique=False)
        batch_op.create_index(
            "ix_user_family_name_key",
            ["pool_id", "family_name_key", "sub"],
            unique=False,
            sqlite_where=sa.text("family_name_key IS NOT NULL"),
            postgresql_where=sa.text("family_name_key IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_user_given_name_key",
            ["pool_id", "given_name_key", "sub"],
            unique=False,
            sqlite_where=sa.text("given_name_key IS NOT NULL"),
            postgresql_where=sa.text("given_name_key IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_user_name_key",
            ["pool_id", "name_key", "sub"],
            unique=False,
            sqlite_where=sa.text("name_key IS NOT NULL"),
            postgresql_where=sa.text("name_key IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_user_phone_number",
            ["pool_id", "phone_number", "sub"],
            unique=False,
            sqlite_where=sa.text("phone_number IS NOT NULL"),
            postgresql_where=sa.text("phone_number IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_user_preferred_username_key",
            ["pool_id", "preferred_username_key", "sub"],
            unique=False,
            sqlite_where=sa.text("preferred_username_key IS NOT NULL"),
            postgresql_where=sa.text("preferred_username_key IS NOT NULL"),
        )
        batch_op.create_index("ix_user_status", ["pool_id", "status", "created_at", "sub"], unique=False)
        batch_op.create_index("ix_user_sub", ["pool_id", "sub"], unique=False)
        batch_op.create_index("ix_user_username", ["pool_id", "username", "sub"], unique=False)


def fill_keys() -> None:
    """What searches compare, for the users that are there."""
    user = sa.table(
        "user",
        sa.column("sub", sa.String),
        sa.column("email", sa.String),
        sa.column("preferred_username", sa.String),
        sa.column("attributes", DOCUMENT),
        *(sa.column(f"{name}_key", sa.String) for name in WITH_KEY),
    )
    connection = op.get_bind()
    after = ""
    while True:
        query = sa.select(user).where(user.c.sub > after).order_by(user.c.sub).limit(1000)
        rows = connection.execute(query).all()
        if not rows:
            return
        filled = []
        for row in rows:
            values = {**row.attributes, "email": row.email, "preferred_username": row.preferred_username}
            filled.append({"of": row.sub, **{f"{name}_key": folded(values.get(name)) for name in WITH_KEY}})
        connection.execute(
            sa.update(user)
            .where(user.c.sub == sa.bindparam("of"))
            .values({f"{name}_key": sa.bindparam(f"{name}_key") for name in WITH_KEY}),
            filled,
        )
        after = rows[-1].sub


def folded(text: str | None) -> str | None:
    if not text:
        return None
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())[:512]


def downgrade() -> None:
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.add_column(sa.Column("username_key", sa.VARCHAR(length=512), nullable=True))
    op.execute(
        """UPDATE "user" SET username_key = (
            SELECT alias.value FROM alias JOIN pool ON pool.id = alias.pool_id
            WHERE alias.user_sub = "user".sub AND alias.attribute = 'username'
            AND alias.generation = pool.generation)"""
    )
    op.execute("DELETE FROM alias WHERE generation <> (SELECT generation FROM pool WHERE pool.id = alias.pool_id)")
    op.execute("DELETE FROM alias WHERE attribute = 'username'")
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.alter_column("username_key", existing_type=sa.String(length=512), nullable=False)
        batch_op.alter_column("username", existing_type=bytewise(128), type_=plain(128))
        batch_op.alter_column("phone_number", existing_type=bytewise(64), type_=plain(64))
        batch_op.drop_index("ix_user_username")
        batch_op.drop_index("ix_user_sub")
        batch_op.drop_index("ix_user_status")
        batch_op.drop_index(
            "ix_user_preferred_username_key",
            sqlite_where=sa.text("preferred_username_key IS NOT NULL"),
            postgresql_where=sa.text("preferred_username_key IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_user_phone_number",
            sqlite_where=sa.text("phone_number IS NOT NULL"),
            postgresql_where=sa.text("phone_number IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_user_name_key",
            sqlite_where=sa.text("name_key IS NOT NULL"),
            postgresql_where=sa.text("name_key IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_user_given_name_key",
            sqlite_where=sa.text("given_name_key IS NOT NULL"),
            postgresql_where=sa.text("given_name_key IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_user_family_name_key",
            sqlite_where=sa.text("family_name_key IS NOT NULL"),
            postgresql_where=sa.text("family_name_key IS NOT NULL"),
        )
        batch_op.drop_index("ix_user_enabled")
        batch_op.drop_index(
            "ix_user_email_key",
            sqlite_where=sa.text("email_key IS NOT NULL"),
            postgresql_where=sa.text("email_key IS NOT NULL"),
        )
        batch_op.create_unique_constraint(batch_op.f("uq_user_pool_id_username_key"), ["pool_id", "username_key"])
        batch_op.create_index(batch_op.f("ix_user_pool_id_status"), ["pool_id", "status"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_user_pool_id_preferred_username"), ["pool_id", "preferred_username"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_user_pool_id_phone_number"), ["pool_id", "phone_number"], unique=False)
        batch_op.create_index(batch_op.f("ix_user_pool_id_email"), ["pool_id", "email"], unique=False)
        batch_op.drop_column("retired")
        batch_op.drop_column("family_name_key")
        batch_op.drop_column("given_name_key")
        batch_op.drop_column("name_key")
        batch_op.drop_column("preferred_username_key")
        batch_op.drop_column("email_key")

    with op.batch_alter_table("pool", schema=None) as batch_op:
        batch_op.drop_column("building")
        batch_op.drop_column("generation")

    with op.batch_alter_table("alias") as batch_op:
        batch_op.drop_constraint("pk_alias", type_="primary")
        batch_op.create_primary_key("pk_alias", ["pool_id", "attribute", "value"])
        batch_op.drop_column("generation")

    with op.batch_alter_table("access_key", schema=None) as batch_op:
        batch_op.drop_column("actions")
        batch_op.drop_column("pools")

    op.drop_table("branding_asset")
    with op.batch_alter_table("terms", schema=None) as batch_op:
        batch_op.drop_index("ix_terms_pool_id")

    op.drop_table("terms")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_index("ix_membership_group")

    op.drop_table("membership")
    with op.batch_alter_table("managed_login_branding", schema=None) as batch_op:
        batch_op.drop_index("ix_managed_login_branding_pool_id")

    op.drop_table("managed_login_branding")
    with op.batch_alter_table("former_password", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_former_password_user_sub"))

    op.drop_table("former_password")
    op.drop_table("ui_customization")
    with op.batch_alter_table("pool_change", schema=None) as batch_op:
        batch_op.drop_index("ix_pool_change_pool_id")

    op.drop_table("pool_change")
    op.drop_table("group")
    op.drop_table("provisioned_limit")
