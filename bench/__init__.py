"""How fast the gateway is, always as a ratio to something else measured in the same run."""
