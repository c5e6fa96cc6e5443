"""What this machine is: processors, GPUs, and how they are clocked."""
