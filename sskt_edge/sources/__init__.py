"""Sources: frozen heavy networks, and their soft labels of the images."""
