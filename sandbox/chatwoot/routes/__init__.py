"""The stand-in's addresses, by topic."""

from sandbox.chatwoot.routes import (
    accounts,
    bots,
    contacts,
    conversations,
    files,
    finding,
    inboxes,
    listing,
    messages,
    public,
    surveys,
    webhooks,
)

ALL_ROUTES = (
    *accounts.ROUTES,
    *finding.ROUTES,
    *contacts.ROUTES,
    *inboxes.ROUTES,
    *bots.ROUTES,
    *listing.ROUTES,
    *conversations.ROUTES,
    *messages.ROUTES,
    *surveys.ROUTES,
    *webhooks.ROUTES,
    *public.ROUTES,
    *files.ROUTES,
)
