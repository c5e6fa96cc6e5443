"""Image files: which there are in a folder, and what is in one."""
