"""The Chatwoot client, the search for a message's place and the webhooks, against the stand-in."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import AddressTaken, Invalid, Missing, NotAllowed
from gateway.chatwoot.events import Event, Ignored, MessageDeleted, MessageUpdated, Reply
from gateway.chatwoot.replies import as_event
from gateway.chatwoot.signature import verify
from gateway.chatwoot.values import Inbox, MessageType
from gateway.chatwoot.webhook import read
from gateway.errors import BadCredentials, ServerTrouble, Throttled, Uncertain
from gateway.model import Inbound, Person, Status
from gateway.relay.to_chatwoot.place import ChatwootPlace
from sandbox.chatwoot import ChatwootStandIn
from sandbox.web import WebServer
from tests.routing_kit import resolve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ADA = Person(name="Ada", phone="+15551230001", email="ada@x.io")
Letter = tuple[dict[str, str], bytes]


@pytest.fixture
def stand_in() -> Iterator[ChatwootStandIn]:
    with ChatwootStandIn(flood_limit=30) as running:
        yield running


@pytest.fixture
def chatwoot(stand_in: ChatwootStandIn) -> Iterator[Chatwoot]:
    client = Chatwoot(stand_in.url, 1, SecretStr(stand_in.access_token), deadline=5)
    yield client
    client.close()


@pytest.fixture
def letters() -> Iterator[tuple[str, queue.Queue[Letter]]]:
    """An address for webhooks, and what comes there."""
    came: queue.Queue[Letter] = queue.Queue()

    def take(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        names = {key[5:].lower().replace("_", "-"): key for key in environ if key[:5] == "HTTP_"}
        headers = {name: str(environ[key]) for name, key in names.items()}
        came.put((headers, environ["wsgi.input"].read()))
        start("200 OK", [])
        return [b""]

    server = WebServer(take)
    server.start()
    yield server.url, came
    server.stop()


def inbox_of(chatwoot: Chatwoot, stand_in: ChatwootStandIn, *, lock: bool = False) -> Inbox:
    return chatwoot.inbox(stand_in.add_inbox("Bot", None, lock=lock))


def inbound(peer: str = "tg:1", person: Person = ADA, thread: str = "") -> Inbound:
    return Inbound(id="m1", peer=peer, text="hello", person=person, thread=thread)


def test_what_the_installation_tells(stand_in: ChatwootStandIn, chatwoot: Chatwoot) -> None:
    inbox = inbox_of(chatwoot, stand_in, lock=True)
    assert chatwoot.installation().version.startswith("4.")
    assert chatwoot.profile().roles[1] == "administrator"
    assert inbox.lock_to_single_conversation
    assert inbox.channel_type == "Channel::Api"
    assert inbox.secret is not None


def test_a_message_way_through(stand_in: ChatwootStandIn, chatwoot: Chatwoot) -> None:
    inbox = inbox_of(chatwoot, stand_in)
    before = sum(stand_in.requests.values())
    place = resolve(chatwoot, inbox, inbound())
    assert sum(stand_in.requests.values()) - before == 3
    for number in range(3):
        chatwoot.create_message(place.conversation_id, f"n{number}", source_id=f"gw:{number}")
    found = list(chatwoot.messages_after(place.conversation_id, 0))
    assert [(each.content, each.source_id, each.message_type) for each in found] == [
        (f"n{number}", f"gw:{number}", MessageType.INCOMING) for number in range(3)
    ]
    assert resolve(chatwoot, inbox, inbound()) == place
    conversation = chatwoot.conversation(place.conversation_id)
    assert (conversation.source_id, conversation.contact.phone) == ("tg:1", ADA.phone)
    assert [each.id for each in chatwoot.recently_updated(inbox.id, 60)] == [place.conversation_id]


def test_after_resolving_a_new_conversation_unless_locked(
    stand_in: ChatwootStandIn, chatwoot: Chatwoot
) -> None:
    for lock in (False, True):
        inbox = inbox_of(chatwoot, stand_in, lock=lock)
        first = resolve(chatwoot, inbox, inbound())
        stand_in.agent_resolve(first.conversation_id)
        second = resolve(chatwoot, inbox, inbound())
        assert (second == first) is lock
        assert resolve(chatwoot, inbox, inbound()) == second


def test_one_person_on_two_channels_is_one_contact(
    stand_in: ChatwootStandIn, chatwoot: Chatwoot
) -> None:
    one, two = inbox_of(chatwoot, stand_in), inbox_of(chatwoot, stand_in)
    first = resolve(chatwoot, one, inbound())
    second = resolve(chatwoot, two, inbound("ada@x.io", Person(email="Ada@x.io")))
    third = resolve(chatwoot, one, inbound("tg:2", Person(phone=ADA.phone)))
    assert first.contact_id == second.contact_id == third.contact_id
    assert len({first.conversation_id, second.conversation_id, third.conversation_id}) == 3


def test_threads_are_kept_apart(stand_in: ChatwootStandIn, chatwoot: Chatwoot) -> None:
    inbox = inbox_of(chatwoot, stand_in)
    places = [resolve(chatwoot, inbox, inbound(thread=f"<{n % 2}@x>")) for n in range(4)]
    assert places[0] == places[2]
    assert places[1] == places[3]
    assert places[0].contact_id == places[1].contact_id
    assert places[0] != places[1]


@pytest.mark.parametrize("path", ["*/contacts", "*/conversations"])
def test_a_lost_answer_makes_nothing_twice(
    stand_in: ChatwootStandIn, chatwoot: Chatwoot, path: str
) -> None:
    inbox = inbox_of(chatwoot, stand_in)
    stand_in.fault("lose", method="POST", path=path)
    with pytest.raises(Uncertain):
        resolve(chatwoot, inbox, inbound())
    place = resolve(chatwoot, inbox, inbound())
    assert [each["id"] for each in stand_in.conversations()] == [place.conversation_id]
    assert len(chatwoot.filter_contacts(email=ADA.email)) == 1


def test_channels_that_meet_one_new_person_at_once(
    stand_in: ChatwootStandIn, chatwoot: Chatwoot
) -> None:
    """By e-mail: Chatwoot itself would let two at once make two contacts with one phone."""
    inboxes = [inbox_of(chatwoot, stand_in) for _ in range(4)]
    message = inbound(person=Person(email=ADA.email))
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda inbox: resolve(chatwoot, inbox, message), inboxes))
    assert len({place.contact_id for place in places}) == 1


def test_the_answer_to_an_agents_first_message_stays_in_its_conversation(
    stand_in: ChatwootStandIn, chatwoot: Chatwoot
) -> None:
    home, sms = inbox_of(chatwoot, stand_in), inbox_of(chatwoot, stand_in)
    contact = resolve(chatwoot, home, inbound()).contact_id
    begun = stand_in.agent_start_conversation(contact, sms.id, "Hi Ada")
    assert resolve(chatwoot, sms, inbound(ADA.phone)) == ChatwootPlace(contact, begun)


def test_refusals(stand_in: ChatwootStandIn, chatwoot: Chatwoot) -> None:
    inbox = inbox_of(chatwoot, stand_in)
    place = resolve(chatwoot, inbox, inbound())
    with pytest.raises(AddressTaken):
        chatwoot.create_contact(inbox.id, "tg:1", "Eve")
    with pytest.raises(Invalid) as refused:
        chatwoot.create_contact(inbox.id, "tg:9", "Eve", email=ADA.email, phone=ADA.phone)
    assert set(refused.value.attributes) == {"email", "phone_number"}
    other = chatwoot.create_contact(inbox.id, "tg:8", "Eve")
    with pytest.raises(AddressTaken):
        chatwoot.attach_source(other.id, inbox.id, "tg:1")
    with pytest.raises(AddressTaken):
        chatwoot.create_conversation(inbox.id, other.id, "tg:1")
    with pytest.raises(Missing):
        chatwoot.create_message(999, "x", source_id="gw:1")
    chatwoot.attach_source(place.contact_id, inbox.id, "tg:1")


def test_the_flood_limit(stand_in: ChatwootStandIn, chatwoot: Chatwoot) -> None:
    place = resolve(chatwoot, inbox_of(chatwoot, stand_in), inbound())
    for number in range(30):
        chatwoot.create_message(place.conversation_id, "x", source_id=f"gw:{number}")
    with pytest.raises(ServerTrouble):
        chatwoot.create_message(place.conversation_id, "x", source_id="gw:30")
    (first, *_) = chatwoot.messages_after(place.conversation_id, 0)
    with pytest.raises(Throttled) as slow:
        chatwoot.update_status(place.conversation_id, first.id, Status.READ)
    assert slow.value.scope == "lane"


def test_tokens(stand_in: ChatwootStandIn, chatwoot: Chatwoot) -> None:
    unseen = stand_in.add_inbox("Bot", None)
    with stand_in.store.changing():
        stand_in.store.inboxes.get(unseen).member_ids.clear()
    agent = Chatwoot(stand_in.url, 1, SecretStr(stand_in.agent.token))
    with pytest.raises(NotAllowed):
        agent.inbox(unseen)
    for token in ("wrong", stand_in.add_bot("R2")):
        stranger = Chatwoot(stand_in.url, 1, SecretStr(token))
        with pytest.raises(BadCredentials):
            stranger.inbox(unseen)
        stranger.close()
    agent.close()


def test_the_request_limit() -> None:
    with ChatwootStandIn(request_limit=2) as limited:
        chatwoot = Chatwoot(limited.url, 1, SecretStr(limited.access_token))
        with pytest.raises(Throttled) as slow:
            for _ in range(3):
                chatwoot.profile()
        chatwoot.close()
    assert slow.value.scope == "destination"
    assert slow.value.after is not None
    assert 0 < slow.value.after <= 60


def events(stand_in: ChatwootStandIn, came: queue.Queue[Letter], inbox: Inbox) -> list[Event]:
    assert stand_in.wait_for_webhooks()
    assert inbox.secret is not None
    found = []
    while not came.empty():
        headers, body = came.get()
        verify(headers, body, [inbox.secret], time.time())
        found.append(read(json.loads(body)))
    return found


def test_webhooks_tell_what_the_agent_did(
    stand_in: ChatwootStandIn, chatwoot: Chatwoot, letters: tuple[str, queue.Queue[Letter]]
) -> None:
    url, came = letters
    inbox = chatwoot.inbox(stand_in.add_inbox("Bot", url))
    place = resolve(chatwoot, inbox, inbound())
    asked = chatwoot.create_message(place.conversation_id, "Hi?", source_id="gw:1")
    reply = stand_in.agent_reply(place.conversation_id, "Yes\\\nyes", in_reply_to=asked.id)
    stand_in.agent_reply(place.conversation_id, "psst", private=True)
    told = events(stand_in, came, inbox)
    (message,) = [event for event in told if isinstance(event, Reply)]
    assert (message.message, message.peer, message.text) == (reply, "tg:1", "Yes\nyes")
    assert message.in_reply_to == "gw:1"
    assert abs(message.written_at - time.time()) < 60
    assert {Ignored("incoming"), Ignored("private_note")} <= {
        event for event in told if isinstance(event, Ignored)
    }
    conversation = chatwoot.conversation(place.conversation_id)
    (listed,) = [
        each
        for each in chatwoot.messages_after(place.conversation_id, 0)
        if each.message_type is MessageType.OUTGOING
    ]
    missed = as_event(conversation, listed)
    assert isinstance(missed, Reply)
    assert (missed.peer, missed.text) == (message.peer, message.text)


def test_webhooks_tell_of_failure_retry_and_deletion(
    stand_in: ChatwootStandIn, chatwoot: Chatwoot, letters: tuple[str, queue.Queue[Letter]]
) -> None:
    url, came = letters
    inbox = chatwoot.inbox(stand_in.add_inbox("Bot", url))
    place = resolve(chatwoot, inbox, inbound())
    reply = stand_in.agent_reply(place.conversation_id, "Hi")
    events(stand_in, came, inbox)
    failed = chatwoot.update_status(place.conversation_id, reply, Status.FAILED, "blocked")
    assert (failed.status, failed.external_error) == ("failed", "blocked")
    errors = [
        event.external_error
        for event in events(stand_in, came, inbox)
        if isinstance(event, MessageUpdated)
    ]
    assert errors == ["blocked"]
    stand_in.agent_retry(reply)
    retried = [e for e in events(stand_in, came, inbox) if isinstance(e, MessageUpdated)]
    assert retried
    assert retried[-1].external_error is None
    assert retried[-1].message.text == "Hi"
    chatwoot.delete_message(place.conversation_id, reply)
    assert MessageDeleted(reply, place.conversation_id, inbox.id, "tg:1") in events(
        stand_in, came, inbox
    )
