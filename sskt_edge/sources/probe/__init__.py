"""Probes: linear layers, fitted on soft labels, that say what sources see in the task's own classes."""
