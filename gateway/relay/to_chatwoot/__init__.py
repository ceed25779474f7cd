"""From the network to Chatwoot: customers' messages, and what became of replies."""
