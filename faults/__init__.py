"""The promise put to the test: real processes, killed at random, and what became of it."""
