"""The interface of the inputs, which turn an item into the input of a network; a file or a folder for each kind."""
