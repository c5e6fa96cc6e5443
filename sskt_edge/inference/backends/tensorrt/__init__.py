"""TensorRT 10.3 and newer, 11, and TensorRT for RTX: engines are built in a process of their own, and run here."""
