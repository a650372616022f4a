"""first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_key",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("description", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_key")),
    )
    op.create_table(
        "installation_secret",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_installation_secret")),
    )
    op.create_table(
        "pool",
        sa.Column("id", sa.String(length=55), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("algorithm", sa.String(length=8), nullable=False),
        sa.Column("settings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool")),
    )
    with op.batch_alter_table("pool", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pool_name"), ["name"], unique=False)

    op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revision")),
    )
    op.create_table(
        "spent",
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent")),
    )
    with op.batch_alter_table("spent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_spent_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "throttle",
        sa.Column("key", sa.String(length=43), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttle")),
    )
    with op.batch_alter_table("throttle", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_throttle_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "client",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("settings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_client_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
    )
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.create_index("ix_client_pool_id_name", ["pool_id", "name"], unique=False)

    op.create_table(
        "domain",
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("custom", sa.Boolean(), nullable=False),
        sa.Column("settings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_domain_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_domain")),
        sa.UniqueConstraint("pool_id", "custom", name=op.f("uq_domain_pool_id_custom")),
    )
    op.create_table(
        "outbox_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=True),
        sa.Column("to", sa.String(length=2048), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_outbox_message_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
    )
    with op.batch_alter_table("outbox_message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_message_pool_id"), ["pool_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_outbox_message_sent_at"), ["sent_at"], unique=False)
        batch_op.create_index("ix_outbox_message_to_sent_at", ["to", "sent_at"], unique=False)

    op.create_table(
        "resource_server",
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("identifier", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_resource_server_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool_id", "identifier", name=op.f("pk_resource_server")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("purpose", sa.String(length=8), nullable=False),
        sa.Column("algorithm", sa.String(length=8), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("public", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_signing_key_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    with op.batch_alter_table("signing_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_signing_key_pool_id"), ["pool_id"], unique=False)

    op.create_table(
        "user",
        sa.Column("sub", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("username_key", sa.String(length=512), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("email", sa.String(length=2048), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=True),
        sa.Column("phone_number", sa.String(length=64), nullable=True),
        sa.Column("phone_number_verified", sa.Boolean(), nullable=True),
        sa.Column("preferred_username", sa.String(length=2048), nullable=True),
        sa.Column("attributes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_user_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sub", name=op.f("pk_user")),
        sa.UniqueConstraint("pool_id", "username_key", name=op.f("uq_user_pool_id_username_key")),
    )
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.create_index("ix_user_pool_id_created_at", ["pool_id", "created_at", "sub"], unique=False)
        batch_op.create_index("ix_user_pool_id_email", ["pool_id", "email"], unique=False)
        batch_op.create_index("ix_user_pool_id_phone_number", ["pool_id", "phone_number"], unique=False)
        batch_op.create_index("ix_user_pool_id_preferred_username", ["pool_id", "preferred_username"], unique=False)
        batch_op.create_index("ix_user_pool_id_status", ["pool_id", "status"], unique=False)

    op.create_table(
        "alias",
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("attribute", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=2048), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_alias_pool_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_alias_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool_id", "attribute", "value", name=op.f("pk_alias")),
    )
    with op.batch_alter_table("alias", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alias_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "attempt",
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("flow", sa.String(length=32), nullable=False),
        sa.Column("asked", sa.String(length=32), nullable=False),
        sa.Column("proven", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("notes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_attempt_client_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_attempt_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_attempt")),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attempt_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_attempt_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_attempt_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "authorization_code",
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("code_challenge", sa.String(length=128), nullable=True),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", sa.String(length=36), nullable=True),
        sa.Column("forget_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_authorization_code_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_sub"], ["user.sub"], name=op.f("fk_authorization_code_user_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_authorization_code")),
    )
    with op.batch_alter_table("authorization_code", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_authorization_code_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_authorization_code_forget_at"), ["forget_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_authorization_code_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "browser_session",
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("pool_id", sa.String(length=55), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_browser_session_pool_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_sub"], ["user.sub"], name=op.f("fk_browser_session_user_sub"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_browser_session")),
    )
    with op.batch_alter_table("browser_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_browser_session_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_browser_session_pool_id"), ["pool_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_browser_session_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "client_secret",
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_client_secret_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_secret")),
    )
    with op.batch_alter_table("client_secret", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_client_secret_client_id"), ["client_id"], unique=False)

    op.create_table(
        "code",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("attribute", sa.String(length=32), nullable=False),
        sa.Column("destination", sa.String(length=2048), nullable=False),
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_code_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code")),
        sa.UniqueConstraint("user_sub", "purpose", name=op.f("uq_code_user_sub_purpose")),
    )
    with op.batch_alter_table("code", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_code_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "login_session",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("origin_jti", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refresh_digest", sa.String(length=43), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_login_session_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_login_session_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
        sa.UniqueConstraint("refresh_digest", name=op.f("uq_login_session_refresh_digest")),
    )
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_session_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_session_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_session_user_sub"), ["user_sub"], unique=False)

    op.create_table(
        "password",
        sa.Column("user_sub", sa.String(length=36), nullable=False),
        sa.Column("version", sa.String(length=36), nullable=False),
        sa.Column("hash", sa.String(length=256), nullable=False),
        sa.Column("srp_salt", sa.String(length=64), nullable=False),
        sa.Column("srp_verifier", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_sub"], ["user.sub"], name=op.f("fk_password_user_sub"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_sub", name=op.f("pk_password")),
    )


def downgrade() -> None:
    op.drop_table("password")
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_session_user_sub"))
        batch_op.drop_index(batch_op.f("ix_login_session_expires_at"))
        batch_op.drop_index(batch_op.f("ix_login_session_client_id"))

    op.drop_table("login_session")
    with op.batch_alter_table("code", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_code_expires_at"))

    op.drop_table("code")
    with op.batch_alter_table("client_secret", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_client_secret_client_id"))

    op.drop_table("client_secret")
    with op.batch_alter_table("browser_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_browser_session_user_sub"))
        batch_op.drop_index(batch_op.f("ix_browser_session_pool_id"))
        batch_op.drop_index(batch_op.f("ix_browser_session_expires_at"))

    op.drop_table("browser_session")
    with op.batch_alter_table("authorization_code", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_authorization_code_user_sub"))
        batch_op.drop_index(batch_op.f("ix_authorization_code_forget_at"))
        batch_op.drop_index(batch_op.f("ix_authorization_code_client_id"))

    op.drop_table("authorization_code")
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attempt_user_sub"))
        batch_op.drop_index(batch_op.f("ix_attempt_expires_at"))
        batch_op.drop_index(batch_op.f("ix_attempt_client_id"))

    op.drop_table("attempt")
    with op.batch_alter_table("alias", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alias_user_sub"))

    op.drop_table("alias")
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.drop_index("ix_user_pool_id_status")
        batch_op.drop_index("ix_user_pool_id_preferred_username")
        batch_op.drop_index("ix_user_pool_id_phone_number")
        batch_op.drop_index("ix_user_pool_id_email")
        batch_op.drop_index("ix_user_pool_id_created_at")

    op.drop_table("user")
    with op.batch_alter_table("signing_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_signing_key_pool_id"))

    op.drop_table("signing_key")
    op.drop_table("resource_server")
    with op.batch_alter_table("outbox_message", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_message_to_sent_at")
        batch_op.drop_index(batch_op.f("ix_outbox_message_sent_at"))
        batch_op.drop_index(batch_op.f("ix_outbox_message_pool_id"))

    op.drop_table("outbox_message")
    op.drop_table("domain")
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_index("ix_client_pool_id_name")

    op.drop_table("client")
    with op.batch_alter_table("throttle", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_throttle_expires_at"))

    op.drop_table("throttle")
    with op.batch_alter_table("spent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_spent_expires_at"))

    op.drop_table("spent")
    op.drop_table("revision")
    with op.batch_alter_table("pool", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pool_name"))

    op.drop_table("pool")
    op.drop_table("installation_secret")
    op.drop_table("access_key")
