"""Every target, source, data set, backend, task and method that there is: one entry each, and nothing heavy."""
