"""What a lane has to do next is found without sorting all that waits."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_steps_lane_state_job_id", "steps", ["lane", "state", "job_id", "ordinal"])


def downgrade() -> None:
    op.drop_index("ix_steps_lane_state_job_id", table_name="steps")
