"""The seam of the inputs: what a network is shown of an item; a file or a folder for each kind."""
