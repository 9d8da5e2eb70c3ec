"""Your attention library: fill in the functions, one notebook after another."""
