"""The stand-in's addresses, by topic."""

from sandbox.chatwoot.routes import (
    accounts,
    contacts,
    conversations,
    files,
    finding,
    inboxes,
    listing,
    messages,
    public,
    webhooks,
)

ALL_ROUTES = (
    *accounts.ROUTES,
    *finding.ROUTES,
    *contacts.ROUTES,
    *inboxes.ROUTES,
    *listing.ROUTES,
    *conversations.ROUTES,
    *messages.ROUTES,
    *webhooks.ROUTES,
    *public.ROUTES,
    *files.ROUTES,
)
