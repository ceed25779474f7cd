"""What agents do in Chatwoot's dashboard, as methods; ids of conversations are display ids."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sandbox.chatwoot import conversations, messages, payloads, shapes, status
from sandbox.chatwoot.contacts import attach
from sandbox.chatwoot.messages import Draft, create_message
from sandbox.chatwoot.records import JSON, Conversation, Message, Upload, User
from sandbox.chatwoot.refusals import NotFound
from sandbox.chatwoot.store import Store


class AgentDesk:
    """The agent of account 1 at work. Every method raises NotFound for ids that are not there."""

    account_id = 1

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def agent(self) -> User:
        """The first user of the account who is not an administrator."""
        for user in self.store.users:
            if user.role_in(self.account_id) == "agent":
                return user
        raise NotFound

    def agent_reply(
        self,
        conversation: int,
        text: str | None,
        *,
        private: bool = False,
        attachments: Sequence[Upload] = (),
        in_reply_to: int | None = None,
    ) -> int:
        """Write a reply or a private note; answers with the message's id.

        Raises RecordInvalid when the conversation is flooded or the text too long.
        """
        with self.store.changing(actor=self.agent):
            row = self._conversation(conversation)
            blobs = tuple(self.store.keep(upload) for upload in attachments)
            attributes: JSON = {"in_reply_to": in_reply_to} if in_reply_to else {}
            draft = Draft(text, private=private, content_attributes=attributes, blobs=blobs)
            return create_message(self.store, row, draft, ("User", self.agent.id)).id

    def reply_from_phone(self, conversation: int, text: str, source_id: str) -> int:
        """What was typed on the owner's phone, stored here by an integration of somebody else."""
        with self.store.changing(actor=self.agent):
            row = self._conversation(conversation)
            echo: JSON = {"external_echo": True}
            draft = Draft(text, content_attributes=echo, source_id=source_id)
            return create_message(self.store, row, draft, ("User", self.agent.id)).id

    def interactive_reply(
        self, conversation: int, text: str | None, content_type: str, items: Sequence[JSON]
    ) -> int:
        """What bots and integrations send: choices, cards, a form, articles."""
        with self.store.changing(actor=self.agent):
            row = self._conversation(conversation)
            draft = Draft(
                text, content_type=content_type, content_attributes={"items": list(items)}
            )
            return create_message(self.store, row, draft, ("User", self.agent.id)).id

    def automatic_reply(self, conversation: int, text: str) -> int:
        """What Chatwoot writes by itself: a greeting, an out-of-office note. It has no sender."""
        with self.store.changing():
            row = self._conversation(conversation)
            return create_message(self.store, row, Draft(text, "template"), None).id

    def agent_delete(self, message: int) -> None:
        with self.store.changing(actor=self.agent):
            messages.delete_message(self.store, self._message(message))

    def agent_retry(self, message: int) -> None:
        """Press Retry below a failed message."""
        with self.store.changing(actor=self.agent):
            messages.retry_message(self.store, self._message(message))

    def agent_resolve(self, conversation: int) -> None:
        self._set_status(conversation, "resolved")

    def agent_open(self, conversation: int) -> None:
        self._set_status(conversation, "open")

    def agent_snooze(self, conversation: int, until: float | None = None) -> None:
        """`until`: Unix seconds; None: until the customer writes again."""
        self._set_status(conversation, "snoozed", until)

    def agent_blocks(self, conversation: int) -> None:
        """«Mute»: block the contact, which also resolves the conversation."""
        with self.store.changing(actor=self.agent):
            status.mute(self.store, self._conversation(conversation))

    def agent_unblocks(self, conversation: int) -> None:
        with self.store.changing(actor=self.agent):
            status.unmute(self.store, self._conversation(conversation))

    def agent_typing(self, conversation: int, typing: str = "on", *, private: bool = False) -> None:
        """`typing` is «on» or «off»."""
        with self.store.changing(actor=self.agent):
            shape = payloads.user_webhook(self.agent)
            row = self._conversation(conversation)
            conversations.announce_typing(self.store, row, typing, shape, private)

    def agent_looks(self, conversation: int) -> None:
        """Open the conversation on the screen: nothing in it is unread any more."""
        with self.store.changing(actor=self.agent):
            self._conversation(conversation).agent_last_seen_at = self.store.now()

    def agent_start_conversation(self, contact_id: int, inbox_id: int, text: str) -> int:
        """«New conversation»: in an inbox where the contact is new it gets a random source id.

        Answers with the display id.
        """
        with self.store.changing(actor=self.agent):
            contact, inbox = self.store.contacts.get(contact_id), self.store.inboxes.get(inbox_id)
            known = [
                row for row in self.store.contact_inboxes_of(contact) if row.inbox_id == inbox.id
            ]
            place = known[0] if known else attach(self.store, contact, inbox, str(uuid.uuid4()))
            row = conversations.open_conversation(self.store, place, {})
            create_message(self.store, row, Draft(text), ("User", self.agent.id))
            return row.display_id

    def messages(self, conversation: int) -> list[JSON]:
        """All of them, oldest first, as REST shows them."""
        with self.store.reading():
            row = self._conversation(conversation)
            return [shapes.message(self.store, each) for each in self.store.messages_of(row)]

    def conversations(self) -> list[JSON]:
        """All of the account, the one with the newest activity first, as REST shows them."""
        with self.store.reading():
            mine = [row for row in self.store.conversations if row.account_id == self.account_id]
            mine.sort(key=lambda row: -row.last_activity_at)
            return [shapes.conversation(self.store, row) for row in mine]

    def _conversation(self, display_id: int) -> Conversation:
        return self.store.conversation(self.account_id, display_id)

    def _message(self, message_id: int) -> Message:
        return self.store.messages.get(message_id)

    def _set_status(self, conversation: int, wanted: str, until: float | None = None) -> None:
        with self.store.changing(actor=self.agent):
            row = self._conversation(conversation)
            status.set_status(self.store, row, wanted, until)
