"""The channels that ship with the gateway: one module (or package) for each kind of network."""
