"""What happens by the clock: ringing for what is due, polling networks, finding lost replies."""
