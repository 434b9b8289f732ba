"""Alembic runs this for every command; correction_aggregation.migrate opens the connection and the
transaction.
"""

from __future__ import annotations

from alembic import context

from correction_aggregation.migrate import VERSION_TABLE
from correction_aggregation.schema import Base

attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(
        url=attributes["url"], target_metadata=Base.metadata, version_table=VERSION_TABLE, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    context.configure(
        connection=attributes["connection"], target_metadata=Base.metadata, version_table=VERSION_TABLE
    )
    context.run_migrations()
