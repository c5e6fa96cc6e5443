"""TensorRT (10.3 and newer, 11) and TensorRT for RTX: engines are built in a separate process, and run in this one."""
