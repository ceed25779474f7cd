from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.adapter import Adapter, ChannelConfig
from gateway.chatwoot.conversation_defaults import ConversationDefaults
from gateway.config import ConfigError, Settings, load
from gateway.config.lines import locate
from gateway.config.sentinels import from_url
from gateway.runtime import Runtime

SECRET = "0123456789abcdef0123456789abcdef"
HERE = __name__
GOOD = f"""\
[gateway]
public_url = "https://gw.example.org/"
secret = "${{GATEWAY_SECRET}}"

[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "${{CHATWOOT_TOKEN}}"

[channels.my-bot]
adapter = "{HERE}:Pigeon"
inbox = 7
token = "${{PIGEON_TOKEN}}"
"""
ENVIRON = {
    "GATEWAY_SECRET": SECRET,
    "CHATWOOT_TOKEN": "chatwoot-token",
    "PIGEON_TOKEN": "pigeon$$token",
    "REDIS_URL": "rediss://:p%40ss@redis.example.org:6380",
}


class Pigeon(Adapter):
    class Config(ChannelConfig):
        token: SecretStr
        keys: tuple[SecretStr, ...] = ()
        coop: int = 1


def _load(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "channels.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, ENVIRON | environ)


def _problems(tmp_path: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text, **environ)
    return [str(problem) for problem in caught.value.problems]


def _one(tmp_path: Path, text: str, **environ: str) -> str:
    problems = _problems(tmp_path, text, **environ)
    assert len(problems) == 1, problems
    return problems[0]


def test_reads_a_file_with_references(tmp_path: Path) -> None:
    settings = _load(tmp_path, GOOD)
    channel = settings.channels["my-bot"]
    assert settings.gateway.public_url == "https://gw.example.org"
    assert settings.gateway.redis_url == ENVIRON["REDIS_URL"]
    assert settings.gateway.threads == 160
    assert channel.adapter is Pigeon
    assert isinstance(channel.config, Pigeon.Config)
    assert channel.config.token.get_secret_value() == "pigeon$$token"  # not expanded twice
    assert channel.account is settings.accounts["main"]
    assert channel.age_limit == Pigeon.capabilities.age_limit


def test_addresses_are_derived_from_the_secret(tmp_path: Path) -> None:
    settings = _load(tmp_path, GOOD)
    channel = settings.channels["my-bot"]
    (token,) = settings.path_tokens(channel)
    assert len(token) == 40
    assert settings.webhook_url(channel) == "https://gw.example.org/channels/my-bot/webhook"
    assert settings.chatwoot_url(channel) == f"https://gw.example.org/chatwoot/my-bot/{token}"
    site = settings.site(channel, Runtime())
    assert site.secret not in {token, ""}
    other = _load(tmp_path, GOOD, GATEWAY_SECRET="f" * 32)
    assert other.path_tokens(channel) != settings.path_tokens(channel)


def test_of_two_secrets_the_first_makes_addresses_and_both_are_accepted(tmp_path: Path) -> None:
    old = _load(tmp_path, GOOD)
    text = GOOD.replace('"${GATEWAY_SECRET}"', '[\n  "${NEW}",\n  "${GATEWAY_SECRET}",\n]')
    both = _load(tmp_path, text, NEW="n" * 32)
    channel = both.channels["my-bot"]
    new, accepted = both.path_tokens(channel)
    assert both.chatwoot_url(channel).endswith(new)
    assert (accepted,) == old.path_tokens(channel)


def test_every_secret_is_known_for_redaction(tmp_path: Path) -> None:
    settings = _load(tmp_path, GOOD + 'keys = ["${A}", "second-key"]\n', A="first-key")
    channel = settings.channels["my-bot"]
    assert settings.secret_values() >= {
        SECRET,
        "chatwoot-token",
        "pigeon$$token",
        "first-key",
        "second-key",
        "p%40ss",
        "p@ss",
        settings.webhook_secret(channel),
        *settings.path_tokens(channel),
    }
    assert not any(secret in repr(settings) for secret in settings.secret_values())


def test_a_dollar_is_written_twice(tmp_path: Path) -> None:
    text = GOOD.replace("${PIGEON_TOKEN}", "a$${b}$c$$")
    config = _load(tmp_path, text).channels["my-bot"].config
    assert isinstance(config, Pigeon.Config)
    assert config.token.get_secret_value() == "a${b}$c$"


PASTED = 'url: is an address of the dashboard: write "https://chat.example.org"'
PASTED_DEEPER = 'dashboard: write "https://chat.example.org:8443/chat"'
TWO = ", and account = 2"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("${CHATWOOT_TOKEN}", "${NO_SUCH}", 8, "chatwoot.main.token: the environment variable NO_"),
        ("${CHATWOOT_TOKEN}", "${EMPTY}", 8, "the environment variable EMPTY is empty"),
        ("${CHATWOOT_TOKEN}", "${BAD NAME}", 8, "without a variable name"),
        ("${CHATWOOT_TOKEN}", "${open", 8, "without a variable name"),
        ('token = "${CHATWOOT_TOKEN}"', "", 5, "chatwoot.main.token: is missing"),
        ("account = 1", 'account = "one"', 7, "account: must be a whole number"),
        ("account = 1", "account = 0", 7, "account: must be greater than 0"),
        ("https://chat.example.org", "chat.example.org", 6, "url: must be an address such as"),
        ("chat.example.org", "chat.example.org/app/accounts/2/dashboard?x=1", 6, PASTED + TWO),
        ("chat.example.org", "chat.example.org:8443/chat/app/login", 6, PASTED_DEEPER),
        ("chat.example.org", "chat.example.org/app/", 6, PASTED),
        (
            "account = 1",
            "account = 1\ninternal_url = 'http://w:3000/app'",
            8,
            'write "http://w:3000"',
        ),
        ("https://gw.example.org/", "https://u:p@gw", 2, "public_url: must be a plain address"),
        ("https://chat.example.org", "http://chat:99999", 6, "url: must have a port from 0 to"),
        ("inbox = 7", "inbox = [7]", 12, "inbox: must be a whole number"),
        ("inbox = 7", "inbox = 7\ncop = 2", 13, "Did you mean «coop»?"),
        ("[gateway]", "[gateway]\ntreads = 4", 2, "Did you mean «threads»?"),
        ("[gateway]", "[gateway]\nredis_url = 'x'", 2, "redis_url: is not a known key"),
        ("[gateway]", "[gatway]\n[gateway]", 1, "Did you mean «gateway»?"),
        ("[gateway]", "[gateway]\nthreads = 1", 2, "greater than or equal to 2"),
        ("channels.my-bot", "channels.My_Bot", 10, "is not a valid channel name"),
        (f"{HERE}:Pigeon", "telegrm", 11, "adapter «telegrm» does not exist"),
        (f"{HERE}:Pigeon", f"{HERE}:Nothing", 11, "has no Nothing"),
        (f"{HERE}:Pigeon", f"{HERE}:load", 11, "is not a subclass of"),
        (f'adapter = "{HERE}:Pigeon"', "", 10, "adapter: is missing"),
        ("inbox = 7", 'inbox = 7\nchatwoot = "mian"', 13, "Did you mean «main»?"),
        ("inbox = 7", "inbox = 7\ndelay_notice = inf", 13, "delay_notice: must be finite"),
        ("[gateway]", "[gateway]\nlease = nan", 2, "lease: must be finite"),
        ("account = 1", "account = ", 7, "is not valid TOML"),
        ("account = 1", "account = ${ONE}", 7, "is not valid TOML"),
    ],
)
def test_names_line_key_and_fault(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    problem = _one(tmp_path, GOOD.replace(old, new), EMPTY="")
    assert problem.startswith(f"channels.toml:{line}: ")
    assert said in problem
    assert problem.splitlines()[1].strip(), "a cure"


def test_a_secret_that_is_too_short_is_not_shown(tmp_path: Path) -> None:
    problem = _one(tmp_path, GOOD, GATEWAY_SECRET="tooshort")
    assert problem.startswith("channels.toml:3: gateway.secret: must have at least 16")
    assert "tooshort" not in problem


def test_no_problem_shows_a_secret_even_if_an_adapter_does(tmp_path: Path) -> None:
    class Talkative(Adapter):
        class Config(ChannelConfig):
            token: SecretStr
            pin: str = ""

            def model_post_init(self, context: object) -> None:
                raise ValueError(f"I do not like {self.token.get_secret_value()} {self.pin}")

    globals()["Talkative"] = Talkative
    text = GOOD.replace(":Pigeon", ":Talkative")
    try:
        assert "pigeon" not in _one(tmp_path, text)
        assert "I do not like … ${PIN}" in _one(tmp_path, text + 'pin = "${PIN}"', PIN="98765")
        literal = text.replace("${PIGEON_TOKEN}", "literal-token")
        assert "literal" not in _one(tmp_path, literal)
    finally:
        del globals()["Talkative"]


def test_tells_everything_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        GOOD.replace("account = 1", 'account = "one"')
        .replace("https://gw.example.org/", "nowhere")
        .replace("channels.my-bot", "channels.My_Bot")
        .replace("inbox = 7", "inbox = 7\ncolour = 1")
    )
    problems = _problems(tmp_path, text, PIGEON_TOKEN="")
    assert [int(problem.split(":")[1]) for problem in problems] == [2, 7, 10, 13, 14]


def test_an_inbox_belongs_to_one_channel(tmp_path: Path) -> None:
    second = f'[channels.two]\nadapter = "{HERE}:Pigeon"\ninbox = 7\ntoken = "x"\n'
    problem = _one(tmp_path, GOOD + second)
    assert problem.startswith("channels.toml:16: channels.two.inbox: inbox 7 already belongs to")
    assert "«my-bot»" in problem


def test_with_two_chatwoots_a_channel_says_which(tmp_path: Path) -> None:
    other = '[chatwoot.two]\nurl = "https://two.example.org"\naccount = 1\ntoken = "t"\n'
    problem = _one(tmp_path, GOOD + other)
    assert "channels.my-bot.chatwoot: does not say which Chatwoot" in problem
    assert 'chatwoot = "main"' in problem
    named = GOOD + 'chatwoot = "two"\n' + other
    assert _load(tmp_path, named).channels["my-bot"].account.url == "https://two.example.org"


def test_needs_a_channel_and_a_chatwoot(tmp_path: Path) -> None:
    gateway = GOOD.split("[chatwoot", maxsplit=1)[0]
    problems = "\n".join(_problems(tmp_path, gateway))
    assert "chatwoot: no Chatwoot account is configured" in problems
    assert "channels: no channel is configured" in problems


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.toml", {})
    with pytest.raises(ConfigError, match="is a folder, not a file"):
        load(tmp_path, {})


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert _load(tmp_path, f"\ufeff{GOOD}").channels


def test_a_table_that_is_none(tmp_path: Path) -> None:
    assert "channels: must be a table" in _one(
        tmp_path, "channels = 3\n" + GOOD.split("[channels", maxsplit=1)[0]
    )


def test_a_pattern_is_not_shown(tmp_path: Path) -> None:
    twilio = """
[channels.sms]
adapter = "twilio"
inbox = 9
account_sid = "x"
auth_token = "y"
sender = "+15550001111"
"""
    problem = _one(tmp_path, GOOD + twilio)
    assert "channels.sms.account_sid: has the wrong form" in problem
    assert "the account's SID, AC…" in problem


@pytest.mark.parametrize(
    "url",
    ["http://:topsecret@redis", "redis://:topsecret@redis?speed=9", "unix:///x?ssl_cert_reqs=none"],
)
def test_redis_url_must_be_one(tmp_path: Path, url: str) -> None:
    problem = _one(tmp_path, GOOD, REDIS_URL=url)
    assert problem.startswith("environment: REDIS_URL: is not the address")
    assert "topsecret" not in problem


def test_lines_in_a_difficult_file() -> None:
    text = '''# [not.a.table]
a = "x # no comment" # = one
"quoted = key" = """
[channels.no]
still = "text" """
list = [ # a comment with ] and "
  "[b]", 'c',
]
[ x . "y.z" ]   # a header
k.l = { m = 1, n = "}" }
q = \'\'\'
it's [here]\'\'\'
last = 1'''
    assert locate(text) == {
        ("a",): 2,
        ("quoted = key",): 3,
        ("list",): 6,
        ("x",): 9,
        ("x", "y.z"): 9,
        ("x", "y.z", "k"): 10,
        ("x", "y.z", "k", "l"): 10,
        ("x", "y.z", "q"): 11,
        ("x", "y.z", "last"): 13,
    }


@given(st.text())
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "channels.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load(path, ENVIRON)


OPENING = """
[channels.my-bot.conversation_defaults]
labels = ["Telegram", "new-people", "telegram"]
team = "Sales"
assignee = "${AGENT}"
priority = "high"
status = "pending"
custom_attributes = { plan = "gold", seats = 3, vip = true }
"""


def test_how_conversations_begin(tmp_path: Path) -> None:
    defaults = (
        _load(tmp_path, GOOD + OPENING, AGENT="5").channels["my-bot"].config.conversation_defaults
    )
    assert defaults.labels == ("telegram", "new-people")
    assert (defaults.team, defaults.assignee) == ("Sales", 5)
    assert (defaults.priority, defaults.status) == ("high", "pending")
    assert defaults.custom_attributes == {"plan": "gold", "seats": 3, "vip": True}
    nothing = _load(tmp_path, GOOD).channels["my-bot"].config.conversation_defaults
    assert nothing.model_dump(exclude_defaults=True) == {}
    inline = GOOD + 'conversation_defaults = { labels = "one" }\n'
    assert _load(tmp_path, inline).channels["my-bot"].config.conversation_defaults.labels == (
        "one",
    )


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ('priority = "highest"', "priority", "'urgent'"),
        ('status = "resolved"', "status", "must be 'open' or 'pending'"),
        ('team = ""', "team", "a number above 0, or a text in quotes"),
        ("team = true", "team", "a number above 0, or a text in quotes"),
        ("team = 0", "team", "a number above 0, or a text in quotes"),
        ('assignee = "Bob"', "assignee", "an agent's number or e-mail address"),
        ('labels = ["two words"]', "labels", "«two words» is not a valid label"),
        ('labels = "a,b"', "labels", "«a,b» is not a valid label"),
        ("labels = 5", "labels", "must be a text, or a list of texts"),
        ("labels = [5]", "labels", "must be a text, in quotes"),
        ("custom_attributes = { a = [1] }", "custom_attributes", "«a» must be a text, a number"),
        ("custom_attributes = { a = inf }", "custom_attributes", "«a» is too large"),
        ("custom_attributes = { a = 10_000_000_000 }", "custom_attributes", "«a» is too large"),
        (f'custom_attributes = {{ a = "{"x" * 1501}" }}', "custom_attributes", "at most 1500"),
        ('lables = "a"', "lables", "Did you mean «labels»?"),
    ],
)
def test_a_wrong_opening_is_told_with_its_line_and_cure(
    tmp_path: Path, line: str, key: str, said: str
) -> None:
    problem = _one(tmp_path, f"{GOOD}[channels.my-bot.conversation_defaults]\n\n{line}\n")
    assert problem.startswith(f"channels.toml:16: channels.my-bot.conversation_defaults.{key}: ")
    assert said in problem
    if key != "lables":
        description = ConversationDefaults.model_fields[key].description
        assert problem.splitlines()[1] == f"    {key} is {description}."


def test_an_opening_that_is_no_table(tmp_path: Path) -> None:
    problem = _one(tmp_path, GOOD + 'conversation_defaults = "new"\n')
    assert problem.startswith(
        "channels.toml:14: channels.my-bot.conversation_defaults: must be a table"
    )
    assert "[channels.my-bot.conversation_defaults]" in problem


def test_a_password_is_a_secret_wherever_the_address_of_redis_has_it(tmp_path: Path) -> None:
    for url in ("redis://:pass%2Fword@x:1", "unix:///run/x.sock?db=0&password=pass%2Fword"):
        assert "pass/word" in _load(tmp_path, GOOD, REDIS_URL=url).secret_values()


def test_sentinels_in_place_of_an_address(tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    path.write_text(GOOD)
    environ = {**ENVIRON, "REDIS_SENTINELS": "a,b,c/main", "REDIS_PASSWORD": "hidden pässword"}
    del environ["REDIS_URL"]
    environ["REDIS_SENTINEL_PASSWORD"] = "hidden too"
    settings = load(path, environ)
    assert from_url(settings.gateway.redis_url).name == "main"
    assert {"hidden pässword", "hidden too"} <= settings.secret_values()


def test_sentinels_beside_an_address(tmp_path: Path) -> None:
    problem = _one(tmp_path, GOOD, REDIS_SENTINELS="a,b,c/main")
    assert problem.startswith("environment: REDIS_SENTINELS: is set although REDIS_URL is set too")


def test_sentinels_that_are_none(tmp_path: Path) -> None:
    problem = _one(tmp_path, GOOD, REDIS_SENTINELS="a,b,c")
    assert problem.startswith("environment: REDIS_SENTINELS: must end in / and the primary's")
    assert "host1:26379,host2:26379,host3:26379/mymaster" in problem


def test_an_address_that_only_looks_like_the_dashboards_is_taken(tmp_path: Path) -> None:
    text = GOOD.replace("https://chat.example.org", "https://app.chatwoot.com/apple")
    assert _load(tmp_path, text).channels["my-bot"].account.url == "https://app.chatwoot.com/apple"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("chatwoot-token\r", "ends with a carriage return"),
        (" chatwoot-token", "begins or ends with a blank"),
        ("…", "still has a placeholder, …"),
        ("...", "still has a placeholder"),
        ("chat…token", "characters that no token has"),
        ("chatwoot token", "characters that no token has"),
    ],
)
def test_stray_characters_in_a_token_are_named(tmp_path: Path, value: str, said: str) -> None:
    assert said in _one(tmp_path, GOOD, CHATWOOT_TOKEN=value)


def test_a_reference_without_braces_is_shown_with_them(tmp_path: Path) -> None:
    said = _one(tmp_path, GOOD.replace("${CHATWOOT_TOKEN}", "$CHATWOOT_TOKEN"))
    assert "chatwoot.main.token: is $CHATWOOT_TOKEN, without braces" in said
    assert "Write ${CHATWOOT_TOKEN}, or $$CHATWOOT_TOKEN" in said


BOT = """
[channels.{name}]
adapter = "telegram"
inbox = {inbox}
token = "{token}"
mode = "{mode}"
"""


def test_one_bot_in_two_channels_is_named(tmp_path: Path) -> None:
    one = BOT.format(name="one", inbox=8, token="1:abc", mode="webhook")
    other = BOT.format(name="other", inbox=9, token="1:abc", mode="polling")
    said = _one(tmp_path, GOOD + one + other)
    assert "channels.other.token: is that of channel «one»" in said
    assert "1:abc" not in said
    assert _load(tmp_path, GOOD + one + other.replace("1:abc", "2:abc")).channels["other"]
