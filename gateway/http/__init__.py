"""HTTP calls with a total deadline, and never to a private address that a stranger names."""
