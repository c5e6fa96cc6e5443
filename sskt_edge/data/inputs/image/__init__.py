"""Images: their views, the cutting of a view, and both as an input."""
