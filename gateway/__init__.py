"""The Chatwoot channel gateway: carries messages between outside networks and Chatwoot."""
