"""This machine: processors, GPUs, and their clocks."""
