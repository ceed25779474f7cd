"""Delivery: what is due is claimed, delivered, and its outcome written down."""
