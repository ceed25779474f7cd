"""Erasing a person: finding all that Redis holds of them, and taking it out."""
