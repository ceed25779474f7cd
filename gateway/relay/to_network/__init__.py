"""From Chatwoot to the network: agents' replies and deletions."""
