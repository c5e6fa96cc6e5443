"""Studies of many runs: comparisons of methods, and searches over a recipe's values."""
