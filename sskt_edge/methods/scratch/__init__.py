"""Training from scratch, without sources: the target learns only its task."""
