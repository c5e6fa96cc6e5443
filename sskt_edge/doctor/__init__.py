"""Examine what is installed on this machine, what the verbs can do with it, and what is wrong."""
