"""Run a network with whichever library this machine has."""
