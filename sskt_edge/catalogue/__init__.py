"""Every target, source, data set, input, backend, task and method that there is: one entry each, and nothing heavy."""
