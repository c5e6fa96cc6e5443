"""Measurements that are run by hand; each figure is recorded with the command that produces it."""

import sskt_edge  # noqa: F401  before any library that would report to its makers
