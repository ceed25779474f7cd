"""What the commands of the command line do, once `gateway.cli` has read what was typed."""
