"""What is installed here, what the verbs can do with it, and what is wrong."""
