"""`python -m live`: the gateway of this checkout between any Chatwoot and the networks' stand-ins.

Chatwoot is reached by HTTP only, as its agents reach it; everything that was made there is taken
away again.
"""
