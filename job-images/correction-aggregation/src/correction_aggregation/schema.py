"""The table of corrections, as migrations/ creates it (a test holds the two equal).

`reviewer` is personal data. Nothing in this package but `seed` names it: `read` selects the other columns
only, so a database role without the right to read it is enough for the worker.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, SmallInteger, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class CorrectionRow(Base):
    __tablename__ = "corrections"
    __table_args__ = (
        CheckConstraint("rating BETWEEN 1 AND 5", name="corrections_rating_check"),
        Index("corrections_created_at_id_idx", "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=False), primary_key=True)
    prompt: Mapped[str] = mapped_column(Text, comment="What the model was asked.")
    model_response: Mapped[str] = mapped_column(Text, comment="What the model answered.")
    corrected_response: Mapped[str | None] = mapped_column(
        Text, comment="What it should have answered; null when the reviewer only rated."
    )
    rating: Mapped[int | None] = mapped_column(
        SmallInteger, comment="The reviewer's mark for the model's response, 1 (bad) to 5 (good)."
    )
    category: Mapped[str | None] = mapped_column(Text, comment="The kind of prompt, in the web app's words.")
    reviewer: Mapped[str | None] = mapped_column(Text, comment="Personal data: never leaves this table.")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
