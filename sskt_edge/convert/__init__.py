"""From a trained network to the files that leave for the device."""
