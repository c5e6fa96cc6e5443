"""Compact networks, and where their stages are."""
