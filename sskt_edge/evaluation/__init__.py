"""Evaluate a bundle: its agreement with the trained network, its score, and its speed."""
