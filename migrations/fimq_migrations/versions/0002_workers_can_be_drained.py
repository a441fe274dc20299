"""Workers can be asked to drain; what ended lately is found without reading every job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The index first, for it takes long: a column locks its table to the transaction's end,
    # and no worker would be seen meanwhile.
    op.create_index("ix_jobs_ended_at", "jobs", ["ended_at"])
    op.add_column("workers", sa.Column("drain_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_index("ix_jobs_ended_at", table_name="jobs")
    with op.batch_alter_table("workers") as batch:
        batch.drop_column("drain_at")
