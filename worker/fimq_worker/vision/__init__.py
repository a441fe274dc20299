"""Pictures: containers, sampling, faces, crops. Shared with training; knows nothing of jobs."""
