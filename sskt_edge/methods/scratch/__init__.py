"""No sources: the target learns its task alone."""
