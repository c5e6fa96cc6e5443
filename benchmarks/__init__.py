"""What is measured by hand; a figure is kept beside the command that makes it."""
