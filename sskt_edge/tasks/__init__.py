"""The meaning of labels: decisions, metrics, and how much two networks may differ."""
