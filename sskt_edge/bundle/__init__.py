"""What goes to the device: files, hashes, golden images."""
