"""`python -m gateway setup` and `doctor`: making things so, and looking whether they are so."""
