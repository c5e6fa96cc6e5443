"""How a source is shown a view of an image: a file for each way."""
