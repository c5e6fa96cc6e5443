"""The probe method: the target learns what a linear layer on the sources' logits says in the task's own classes."""
