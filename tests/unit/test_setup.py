"""`python -m gateway setup` against stand-ins, over real HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.email import Email
from adapters.telegram import Telegram
from adapters.twilio import Twilio
from gateway.adapter import Adapter
from gateway.cli import main
from sandbox.chatwoot.records import Webhook
from tests.unit.setup_kit import SECRET, World, small_world


@pytest.fixture
def world(
    tmp_path: Path,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    with small_world(tmp_path, redis_url, monkeypatch, capsys) as built:
        yield built


def inboxes(world: World) -> dict[str, int]:
    with world.chatwoot.store.reading():
        return {inbox.name: inbox.id for inbox in world.chatwoot.store.inboxes}


def writes(world: World) -> int:
    return sum(n for (method, _), n in world.chatwoot.requests.items() if method != "GET")


def test_setup_makes_everything_and_says_what_to_paste(world: World) -> None:
    status, said = world.run("setup")
    assert status == 0, said
    assert inboxes(world) == {"Telegram": 1, "SMS": 2, "Mail": 3}
    assert re.findall(r"\[channels\.(\w+)\]\ninbox = (\d+)\nsigning_secret = (.+)", said) == [
        ("bot", "1", '["${BOT_SIGNING_SECRET}", "${BOT_CONTACTS_SIGNING_SECRET}"]'),
        ("sms", "2", '"${SMS_SIGNING_SECRET}"'),
        ("post", "3", '"${POST_SIGNING_SECRET}"'),
    ]
    with world.chatwoot.store.reading():
        for inbox in world.chatwoot.store.inboxes:
            assert inbox.webhook_url
            assert inbox.webhook_url.startswith(f"{world.gateway.url}/chatwoot/")
            assert inbox.member_ids == [1, 2], "everybody, as there was nobody"
    assert world.telegram.updates.webhook.url == f"{world.gateway.url}/channels/bot/webhook"
    assert f"sms: {world.gateway.url}/channels/sms/webhook" in said


def test_the_signing_secret_is_printed_only_if_asked_for(world: World) -> None:
    assert "BOT_SIGNING_SECRET=…" in world.run("setup")[1]
    with world.chatwoot.store.reading():
        key = world.chatwoot.store.inboxes.get(1).secret
    assert f"BOT_SIGNING_SECRET={key}\n" in world.run("setup", "--secrets", "shown")[1]


@pytest.mark.parametrize("pasted", [True, False])
def test_run_twice_it_changes_nothing_and_says_so(world: World, pasted: bool) -> None:
    world.run("setup")
    before = writes(world)
    if pasted:
        world.finish()
    status, said = world.run("setup")
    assert (status, writes(world)) == (0, before)
    assert "Nothing to change." in said
    assert ("Write in channels.toml" in said) is not pasted


def webhooks(world: World) -> list[Webhook]:
    with world.chatwoot.store.reading():
        return list(world.chatwoot.store.webhooks)


def add_webhook(world: World, url: str, *events: str) -> None:
    with world.chatwoot.store.changing():
        world.chatwoot.store.webhooks.add(
            account_id=1, url=url, secret="theirs", subscriptions=list(events)
        )


def test_the_account_tells_of_contacts_and_of_nothing_else(world: World) -> None:
    _, said = world.run("setup", "--secrets", "shown")
    [made] = webhooks(world)
    assert made.url.startswith(f"{world.gateway.url}/chatwoot/bot/")
    assert set(made.subscriptions) == {"contact_created", "contact_updated"}
    assert f"BOT_CONTACTS_SIGNING_SECRET={made.secret}\n" in said
    assert "contact webhook: Chatwoot now reports changed contacts" in said


@pytest.mark.parametrize("events", [("contact_created", "contact_updated"), ("message_created",)])
def test_an_account_webhook_of_ours_is_adopted_with_what_it_tells_already(
    world: World, events: tuple[str, ...]
) -> None:
    world.run("setup")
    [made] = webhooks(world)
    with world.chatwoot.store.changing():
        world.chatwoot.store.webhooks.rows.clear()
    add_webhook(world, made.url.replace(world.gateway.url, "https://old.example"), *events)
    for verdict in ("changed", "ok"):
        status, said = world.run("setup")
        [adopted] = webhooks(world)
        assert (status, adopted.url) == (0, made.url)
        assert set(adopted.subscriptions) == {"contact_created", "contact_updated", *events}
        assert re.search(rf"{verdict} +contact webhook", said)


def test_webhooks_of_others_are_left_alone(world: World) -> None:
    add_webhook(world, "https://crm.example/hook", "contact_updated")
    assert world.run("setup")[0] == 0
    theirs, ours = webhooks(world)
    assert (theirs.url, theirs.subscriptions) == ("https://crm.example/hook", ["contact_updated"])
    assert ours.url.startswith(world.gateway.url)


def test_who_is_no_administrator_is_told_what_to_do_by_hand(world: World) -> None:
    world.write(token=world.chatwoot.agent.token)
    _, said = world.run("setup")
    assert "Settings, Integrations, Webhooks" in said
    assert "Contact created" in said
    assert not webhooks(world)


def test_where_no_channel_writes_to_contacts_there_is_no_webhook(world: World) -> None:
    for kind in (Telegram, Twilio, Email):
        world.monkeypatch.setattr(kind, "address", Adapter.address)
    assert world.run("setup")[0] == 0
    assert webhooks(world) == []
    world.write(bot=1, sms=2, post=3)
    assert "contact webhook" not in world.run("doctor")[1]


def test_chatwoot_that_refuses_the_webhook_is_a_line_and_the_rest_is_made(world: World) -> None:
    world.chatwoot.fault("status", method="POST", path="*/webhooks", status=500)
    status, said = world.run("setup")
    assert status == 1
    assert "contact webhook: " in said
    assert len(inboxes(world)) == 3


def test_an_inbox_that_is_not_there_is_made_once(world: World) -> None:
    world.write(bot=77)
    for _ in range(2):
        status, said = world.run("setup")
        assert status == 0
        assert "[channels.bot]\ninbox = 1\n" in said
    assert sorted(inboxes(world)) == ["Mail", "SMS", "bot"]


def test_without_inbox_it_bears_the_channel_s_name(world: World) -> None:
    world.file.write_text(world.file.read_text().replace('inbox = "Telegram"\n', ""))
    assert world.run("setup")[0] == 0
    assert "bot" in inboxes(world)


def test_the_inbox_of_another_channel_is_not_adopted(world: World) -> None:
    number = world.chatwoot.add_inbox("Telegram", None)
    world.write(sms=number)
    world.run("setup")
    with world.chatwoot.store.reading():
        named = [inbox.id for inbox in world.chatwoot.store.inboxes if inbox.name == "Telegram"]
    assert len(named) == 2


def test_two_inboxes_of_one_name_are_for_a_person_to_choose_from(world: World) -> None:
    for _ in range(2):
        world.chatwoot.add_inbox("Telegram", None)
    status, said = world.run("setup")
    assert status == 1
    assert "several API inboxes are called «Telegram»: 1, 2" in said


def test_an_inbox_of_another_kind_is_left_alone(world: World) -> None:
    number = world.chatwoot.add_inbox("Website", "https://elsewhere.example/hook")
    with world.chatwoot.store.changing():
        world.chatwoot.store.inboxes.get(number).channel_type = "Channel::WebWidget"
    world.write(bot=number)
    status, said = world.run("setup")
    assert status == 1
    assert "is a Channel::WebWidget, not an API inbox" in said
    with world.chatwoot.store.reading():
        url = world.chatwoot.store.inboxes.get(number).webhook_url
    assert url == "https://elsewhere.example/hook"


def test_another_webhook_address_gives_way(world: World) -> None:
    number = world.chatwoot.add_inbox("Telegram", "https://old.example/hook")
    status, said = world.run("setup")
    assert status == 0
    assert "webhook: the inbox calls this gateway from now on" in said
    with world.chatwoot.store.reading():
        url = world.chatwoot.store.inboxes.get(number).webhook_url or ""
    assert url.startswith(world.gateway.url)


def test_agents_by_name_join_those_who_are_there(world: World) -> None:
    number = world.chatwoot.add_inbox("Telegram", None)
    status, _ = world.run("setup", "--agents", "Ada@sandbox.example")
    assert status == 0
    with world.chatwoot.store.reading():
        assert world.chatwoot.store.inboxes.get(number).member_ids == [1, 2]
        assert world.chatwoot.store.inboxes.get(inboxes(world)["SMS"]).member_ids == [1]
    status, said = world.run("setup", "--agents", "eve@sandbox.example")
    assert status == 1
    assert "the account has no agent with the address eve@sandbox.example" in said


def test_somebody_who_works_there_is_enough(world: World) -> None:
    number = world.chatwoot.add_inbox("Telegram", None)
    world.run("setup")
    with world.chatwoot.store.reading():
        assert world.chatwoot.store.inboxes.get(number).member_ids == [2]


@pytest.mark.parametrize(
    ("whose", "said"),
    [
        ("agent", "has the role agent, not administrator"),
        ("bot", "of a user (a bot's token does not work)"),
        ("nobody", "Chatwoot rejects the access token"),
    ],
)
def test_only_an_administrator_s_token_will_do(world: World, whose: str, said: str) -> None:
    tokens = {
        "agent": world.chatwoot.agent.token,
        "bot": world.chatwoot.add_bot("Robbie"),
        "nobody": "a-token-of-nobody",
    }
    world.write(token=tokens[whose])
    status, told = world.run("setup")
    assert status == 1
    assert said in told
    assert "Log in to Chatwoot as an administrator of account 1" in told
    assert not inboxes(world)


def test_an_account_of_others(world: World) -> None:
    world.write(account=9)
    status, said = world.run("setup")
    assert status == 1
    assert "«Ada Admin» does not belong to account 9" in said


def test_chatwoot_that_fails_in_the_middle_is_a_line_and_a_second_run_goes_on(
    world: World,
) -> None:
    world.chatwoot.fault("status", method="POST", path="*/inbox_members", status=500)
    status, said = world.run("setup")
    assert status == 1
    assert "BAD" in said
    assert "1 to fix" in said
    assert world.run("setup")[0] == 0
    assert len(inboxes(world)) == 3


def test_a_network_that_refuses_us_is_a_line(world: World) -> None:
    world.write(telegram_token="1:wrong")
    status, said = world.run("setup")
    assert status == 1
    assert "network: Telegram does not accept the bot's token" in said


def test_no_secret_is_said(world: World) -> None:
    said = world.run("setup")[1]
    world.finish()
    said += world.run("doctor")[1] + world.run("doctor", "--json")[1]
    with world.chatwoot.store.reading():
        ends = [str(i.webhook_url).rpartition("/")[2] for i in world.chatwoot.store.inboxes]
        keys = [i.secret for i in world.chatwoot.store.inboxes]
    secrets = [SECRET, world.values["token"], world.telegram.token, world.twilio.auth_token]
    for secret in (*secrets, world.mail.password, *ends, *keys):
        assert secret not in said


def test_other_mistakes_in_the_file_are_told_before_anything_is_made(world: World) -> None:
    world.file.write_text(world.file.read_text().replace("account_sid", "acount_sid"))
    assert main(["setup"]) == 1
    assert "Did you mean «account_sid»?" in world.capsys.readouterr().err
    assert not inboxes(world)


def test_nothing_runs_with_an_inbox_by_name(world: World) -> None:
    assert main(["check"]) == 1
    said = world.capsys.readouterr().out
    assert "channels.bot.inbox: is the name of an inbox, but must be its number" in said
    assert "python -m gateway setup" in said


def test_an_inbox_of_another_kind_with_the_name_is_not_adopted(world: World) -> None:
    number = world.chatwoot.add_inbox("Telegram", None)
    change = world.chatwoot.store
    with change.changing():
        change.inboxes.get(number).channel_type = "Channel::WebWidget"
    assert world.run("setup")[0] == 0
    assert inboxes(world)["Telegram"] != number


def test_the_keys_go_into_the_file_of_variables_and_change_nothing_there(world: World) -> None:
    file = world.file.parent / ".env"
    for name in ("BOT", "SMS", "POST", "BOT_CONTACTS"):  # the commands set them for this process
        world.monkeypatch.setenv(f"{name}_SIGNING_SECRET", "")
        world.monkeypatch.delenv(f"{name}_SIGNING_SECRET")
    file.write_text("BOT_SIGNING_SECRET=mine")
    file.chmod(0o644)
    _, said = world.run("setup")
    with world.chatwoot.store.reading():
        keys = {inbox.name: inbox.secret for inbox in world.chatwoot.store.inboxes}
    lines = file.read_text().splitlines()
    assert lines[0] == "BOT_SIGNING_SECRET=mine"
    assert f"SMS_SIGNING_SECRET={keys['SMS']}" in lines
    assert len([line for line in lines if line.startswith("BOT_SIGNING")]) == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Written to .env:" in said and "SMS_SIGNING_SECRET" in said
    assert not any(key and key in said for key in keys.values())
    written = file.read_text()
    world.run("setup")
    assert file.read_text() == written
