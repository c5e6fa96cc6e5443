"""The ways to show a view of an image to a source, one file for each."""
