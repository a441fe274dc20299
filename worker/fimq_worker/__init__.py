"""The worker: Celery app, steps, decode child, vision, runtimes."""
