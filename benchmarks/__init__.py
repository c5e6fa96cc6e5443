"""What is measured by hand; a figure is kept beside the command that makes it."""

import sskt_edge  # noqa: F401  before any library that would report to its makers
