"""Create the table of corrections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("prompt", sa.Text, nullable=False, comment="What the model was asked."),
        sa.Column("model_response", sa.Text, nullable=False, comment="What the model answered."),
        sa.Column(
            "corrected_response",
            sa.Text,
            comment="What it should have answered; null when the reviewer only rated.",
        ),
        sa.Column(
            "rating",
            sa.SmallInteger,
            comment="The reviewer's mark for the model's response, 1 (bad) to 5 (good).",
        ),
        sa.Column("category", sa.Text, comment="The kind of prompt, in the web app's words."),
        sa.Column("reviewer", sa.Text, comment="Personal data: never leaves this table."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="corrections_rating_check"),
    )
    op.create_index("corrections_created_at_id_idx", "corrections", ["created_at", "id"])


def downgrade() -> None:
    op.drop_table("corrections")
