"""Many runs, one table: methods side by side, and searches over a recipe's values."""
