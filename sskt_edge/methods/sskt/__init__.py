"""The method, equation by equation."""
