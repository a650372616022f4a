"""the sign-in machine: factors, passkeys, devices, refresh tokens that rotate

Sessions and sign-ins under way end with it: what they would have to know now, nobody noted when they began.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device",
        sa.Column("key", sa.String(length=55), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("group_key", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("remembered", sa.Boolean(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("last_ip", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("authenticated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_device_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_device")),
    )
    with op.batch_alter_table("device") as batch_op:
        batch_op.create_index("ix_device_user_sub", ["user_sub", "created_at", "key"], unique=False)

    op.create_table(
        "passkey",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column(
            "credential_id",
            sa.String(length=1400).with_variant(sa.String(length=1400, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("rp_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aaguid", sa.String(length=36), nullable=False),
        sa.Column("attachment", sa.String(length=32), nullable=True),
        sa.Column("transports", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("synced", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_passkey_pool_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_passkey_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("pool_id", "credential_id", name=op.f("uq_passkey_pool_id_credential_id")),
    )
    with op.batch_alter_table("passkey") as batch_op:
        batch_op.create_index(batch_op.f("ix_passkey_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "passkey_registration",
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("challenge", sa.String(length=86), nullable=False),
        sa.Column("rp_id", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_passkey_registration_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_sub"], ["user.sub"], name=op.f("fk_passkey_registration_user_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_sub", name=op.f("pk_passkey_registration")),
    )
    with op.batch_alter_table("passkey_registration") as batch_op:
        batch_op.create_index(batch_op.f("ix_passkey_registration_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_passkey_registration_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "recovery_code",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_recovery_code_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
    )
    with op.batch_alter_table("recovery_code") as batch_op:
        batch_op.create_index(batch_op.f("ix_recovery_code_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "software_token",
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("pending", sa.Text(), nullable=True),
        sa.Column("friendly_name", sa.Text(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_sub"], ["user.sub"], name=op.f("fk_software_token_user_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_sub", name=op.f("pk_software_token")),
    )
    for table in ("attempt", "authorization_code", "browser_session", "login_session"):
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    with op.batch_alter_table("attempt") as batch_op:
        batch_op.alter_column("user_sub", existing_type=sa.VARCHAR(length=36), nullable=True)

    with op.batch_alter_table("authorization_code") as batch_op:
        batch_op.add_column(
            sa.Column("methods", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False)
        )
        batch_op.add_column(sa.Column("acr_asked", sa.Boolean(), nullable=False))
        batch_op.add_column(sa.Column("browser_session_id", sa.String(length=36), nullable=True))

    with op.batch_alter_table("browser_session") as batch_op:
        batch_op.add_column(sa.Column("id", sa.String(length=36), nullable=False))
        batch_op.add_column(sa.Column("client_id", sa.String(length=128), nullable=False))
        batch_op.add_column(
            sa.Column("methods", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False)
        )
        batch_op.add_column(sa.Column("ip", sa.String(length=64), nullable=False))
        batch_op.add_column(sa.Column("user_agent", sa.Text(), nullable=False))
        batch_op.create_index(batch_op.f("ix_browser_session_client_id"), ["client_id"], unique=False)
        batch_op.create_unique_constraint(batch_op.f("uq_browser_session_id"), ["id"])
        batch_op.create_foreign_key(
            batch_op.f("fk_browser_session_client_id"), "client", ["client_id"], ["id"], ondelete="CASCADE"
        )

    with op.batch_alter_table("login_session") as batch_op:
        batch_op.add_column(
            sa.Column("methods", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False)
        )
        batch_op.add_column(sa.Column("acr_asked", sa.Boolean(), nullable=False))
        batch_op.add_column(sa.Column("family_digest", sa.String(length=43), nullable=False))
        batch_op.add_column(sa.Column("previous_digest", sa.String(length=43), nullable=True))
        batch_op.add_column(sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("device_key", sa.String(length=55), nullable=True))
        batch_op.add_column(sa.Column("browser_session_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("ip", sa.String(length=64), nullable=False))
        batch_op.add_column(sa.Column("user_agent", sa.Text(), nullable=False))
        batch_op.add_column(sa.Column("active_at", sa.DateTime(timezone=True), nullable=False))
        batch_op.alter_column("refresh_digest", existing_type=sa.VARCHAR(length=43), nullable=False)
        batch_op.drop_constraint(batch_op.f("uq_login_session_refresh_digest"), type_="unique")
        batch_op.create_index(batch_op.f("ix_login_session_browser_session_id"), ["browser_session_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_session_device_key"), ["device_key"], unique=False)
        batch_op.create_unique_constraint(batch_op.f("uq_login_session_family_digest"), ["family_digest"])

    with op.batch_alter_table("throttle") as batch_op:
        batch_op.add_column(sa.Column("pending", sa.Integer(), server_default="0", nullable=False))

    with op.batch_alter_table("user") as batch_op:
        batch_op.add_column(sa.Column("mfa", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True))


def downgrade() -> None:
    for table in ("attempt", "authorization_code", "browser_session", "login_session"):
        op.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
    with op.batch_alter_table("user") as batch_op:
        batch_op.drop_column("mfa")

    with op.batch_alter_table("throttle") as batch_op:
        batch_op.drop_column("pending")

    with op.batch_alter_table("login_session") as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_login_session_family_digest"), type_="unique")
        batch_op.drop_index(batch_op.f("ix_login_session_device_key"))
        batch_op.drop_index(batch_op.f("ix_login_session_browser_session_id"))
        batch_op.create_unique_constraint(batch_op.f("uq_login_session_refresh_digest"), ["refresh_digest"])
        batch_op.alter_column("refresh_digest", existing_type=sa.VARCHAR(length=43), nullable=True)
        batch_op.drop_column("active_at")
        batch_op.drop_column("user_agent")
        batch_op.drop_column("ip")
        batch_op.drop_column("browser_session_id")
        batch_op.drop_column("device_key")
        batch_op.drop_column("rotated_at")
        batch_op.drop_column("previous_digest")
        batch_op.drop_column("family_digest")
        batch_op.drop_column("acr_asked")
        batch_op.drop_column("methods")

    with op.batch_alter_table("browser_session") as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_browser_session_client_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("uq_browser_session_id"), type_="unique")
        batch_op.drop_index(batch_op.f("ix_browser_session_client_id"))
        batch_op.drop_column("user_agent")
        batch_op.drop_column("ip")
        batch_op.drop_column("methods")
        batch_op.drop_column("client_id")
        batch_op.drop_column("id")

    with op.batch_alter_table("authorization_code") as batch_op:
        batch_op.drop_column("browser_session_id")
        batch_op.drop_column("acr_asked")
        batch_op.drop_column("methods")

    with op.batch_alter_table("attempt") as batch_op:
        batch_op.alter_column("user_sub", existing_type=sa.VARCHAR(length=36), nullable=False)

    op.drop_table("software_token")
    with op.batch_alter_table("recovery_code") as batch_op:
        batch_op.drop_index(batch_op.f("ix_recovery_code_user_sub"))

    op.drop_table("recovery_code")
    with op.batch_alter_table("passkey_registration") as batch_op:
        batch_op.drop_index(batch_op.f("ix_passkey_registration_expires_at"))
        batch_op.drop_index(batch_op.f("ix_passkey_registration_client_id"))

    op.drop_table("passkey_registration")
    with op.batch_alter_table("passkey") as batch_op:
        batch_op.drop_index(batch_op.f("ix_passkey_user_sub"))

    op.drop_table("passkey")
    with op.batch_alter_table("device") as batch_op:
        batch_op.drop_index("ix_device_user_sub")

    op.drop_table("device")
