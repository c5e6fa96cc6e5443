"""The libraries that can run a network, a folder each; a library is imported when it is used.

The files in each have the same names: backend.py is what the catalogue's entry names, session.py runs a network,
versions.py says what is installed.
"""
