"""The target networks and their stages."""
