"""What runs on the device: no torch, no onnx."""
