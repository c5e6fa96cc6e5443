"""ONNX Runtime, on the CPU, on CUDA, or on TensorRT."""
