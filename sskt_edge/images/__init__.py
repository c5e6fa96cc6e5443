"""Image files: list those of a folder, and read them."""
