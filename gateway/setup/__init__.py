"""`python -m gateway setup` and `doctor`: creates what a channel needs, and checks it."""
