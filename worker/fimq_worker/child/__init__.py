"""The decode child: a process of its own that meets the hostile bytes, and how to talk to it."""
