"""What a target learns from what: one folder a method."""
