"""What this machine is: its processors, packages and GPUs, what each verb can do on it, and how to get the rest."""
