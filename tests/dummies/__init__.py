"""One more of everything that a recipe may name: each a file of its own, as a contributor would write it."""
