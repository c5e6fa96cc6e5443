"""Convert a trained network to the files that go to the device."""
