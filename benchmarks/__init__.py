"""Measurements that are run by hand; each figure is kept with the command that makes it."""

import sskt_edge  # noqa: F401  before any library that would report to its makers
