"""Steps: what a worker does with a claim. plan -> segments -> finish, or all in one."""
