"""The libraries that can run a network, one folder for each; a library is imported when it is used.

The files in each folder have the same names: backend.py holds the class that the catalogue's entry names, session.py
runs a network, and versions.py says what is installed.
"""
