"""What a target learns from what: a folder a method, with its options (no torch) and its learner."""
