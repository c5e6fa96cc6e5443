"""The command line, with one short file per verb."""
