"""Frozen heavy networks and what they say of the images."""
