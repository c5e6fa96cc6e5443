"""Running a network, by whichever library this machine has."""
