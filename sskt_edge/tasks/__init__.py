"""What labels mean: decisions, metrics, and how far an answer may be from another."""
