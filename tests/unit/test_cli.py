from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.adapter import ChannelConfig, Verdict
from gateway.cli import main
from gateway.config import ConfigError, load
from gateway.config.adapters import known_kinds
from gateway.processes import launch
from gateway.processes.supervisor import Supervisor
from gateway.setup.checks.redis import look_at_storage
from gateway.storage.durability import look_at
from gateway.storage.embedded import embedded_in

ROOT = Path(__file__).parents[2]
CONFIG = """\
[gateway]
public_url = "https://gw.example.org"
secret = "0123456789abcdef"
[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "${CHATWOOT_TOKEN}"
[channels.pigeons]
adapter = "cli_test_adapter:Pigeon"
inbox = 7
[channels.post]
adapter = "cli_test_adapter:Post"
inbox = 8
"""
ADAPTERS = """\
from gateway.adapter import Adapter
class Post(Adapter): ...
class Pigeon(Adapter):
    def parse(self, request): return ()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good channels.toml, and an environment that fits."""
    (tmp_path / "channels.toml").write_text(CONFIG)
    (tmp_path / "cli_test_adapter.py").write_text(ADAPTERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("REDIS_URL", "GATEWAY_CONFIG", "GATEWAY_DATA", "GATEWAY_WORKERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHATWOOT_TOKEN", "chatwoot-token")
    return tmp_path


def test_check_says_that_all_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("channels.toml is fine: 2 channels (pigeons, post).\n")
    assert "Neither REDIS_URL nor REDIS_SENTINELS is set" in out


def test_check_knows_a_durable_server(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert main(["check"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "channels.toml is fine: 2 channels (pigeons, post)."
    ]


@pytest.mark.parametrize("command", ["run", "web", "worker", "clock", "channels"])
def test_every_command_refuses_in_the_words_of_check(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CHATWOOT_TOKEN")
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("channels.toml:7: chatwoot.main.token: the environment variable CHATW")
    assert main([command]) == 1
    assert capsys.readouterr().err == said


def test_channels_gives_both_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channels"]) == 0
    _, pigeons, post = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert pigeons[:2] == ["pigeons", "cli_test_adapter:Pigeon"]
    assert pigeons[3] == "https://gw.example.org/channels/pigeons/webhook"
    assert pigeons[4].startswith("https://gw.example.org/chatwoot/pigeons/")
    assert post[3] == "-", "it takes no webhooks"


def test_where_the_gateway_listens_chatwoot_has_no_address_to_call(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place / "channels.toml"
    text = file.read_text().replace("[chatwoot.main]", '[chatwoot.main]\nevents = "websocket"')
    file.write_text(text)
    assert main(["channels"]) == 0
    _, pigeons, post = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert (pigeons[4], post[4]) == ("-", "-")
    assert main(["check"]) == 0
    assert "chatwoot.main: the gateway listens to Chatwoot's event" in capsys.readouterr().out


def test_another_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "other.toml").write_text("[gateway")
    monkeypatch.setenv("GATEWAY_CONFIG", "other.toml")
    assert main(["check"]) == 1
    assert capsys.readouterr().out.startswith("other.toml:1: is not valid TOML")


@pytest.mark.parametrize("command", [["worker"], ["clock"], ["web"], ["dead", "list"]])
def test_without_redis_a_role_says_what_to_do(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 1
    assert "set REDIS_URL" in capsys.readouterr().err


def test_redis_that_is_away_is_told_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none.sock")
    assert main(["dead", "list"]) == 1
    assert capsys.readouterr().err == "gateway: Redis cannot be used: ConnectionError.\n"
    assert main(["check"]) == 1
    assert "REDIS_URL: the server does not answer" in capsys.readouterr().out


def test_dead_letters_that_there_are_not(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert main(["dead", "list"]) == 0
    for action in ("show", "replay", "drop"):
        assert main(["dead", action, "nobody"]) == 1
        assert "dead letter nobody does not exist" in capsys.readouterr().err


def test_a_server_that_throws_data_away_is_a_problem(store: redis.Redis, redis_url: str) -> None:
    store.config_set("maxmemory-policy", "allkeys-lru")
    try:
        (problem,) = look_at(redis_url).problems
    finally:
        store.config_set("maxmemory-policy", "noeviction")
    assert "maxmemory-policy is allkeys-lru" in problem.wrong


def test_a_server_without_what_the_scripts_use_is_a_problem(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, store: redis.Redis
) -> None:
    info = redis.Redis.info

    def old(client: redis.Redis, section: str | None = None) -> Any:
        told = dict(info(client, section))
        told.pop("valkey_version", None)
        return told | {"redis_version": "6.2.14"}

    monkeypatch.setattr(redis.Redis, "info", old)
    (problem,) = look_at(redis_url).problems
    assert problem.wrong == "Redis is too old: 6.2.14"
    found = list(look_at_storage(redis_url))
    assert [each.check for each in found if each.verdict is Verdict.BAD] == ["reachable"]


def test_unverified_encryption_is_noted(
    store: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.durability.is_unverified", lambda url: True)
    assert any("REDIS_TLS_VERIFY is off" in note for note in look_at(redis_url).notes)
    noted = [each.check for each in look_at_storage(redis_url) if each.verdict is Verdict.NOTE]
    assert noted == ["encryption"]


def test_verifying_is_on_or_off(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("REDIS_TLS_VERIFY", "0")
    assert main(["check"]) == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("appendfsync", "everysec", "up to a second"),
        ("appendfsync", "no", "an unknown time"),
        ("appendonly", "no", "no append-only log"),
    ],
)
def test_a_server_that_may_lose_something_is_noted(
    store: redis.Redis, redis_url: str, name: str, value: str, said: str
) -> None:
    before = str(store.config_get(name)[name])
    store.config_set(name, value)
    try:
        findings = look_at(redis_url)
    finally:
        store.config_set(name, before)
    assert not findings.problems
    assert said in findings.notes[0]


@pytest.mark.parametrize("typed", [[], ["dead"], ["nonsense"], ["dead", "show"], ["run", "more"]])
def test_what_cannot_be_understood_ends_with_2(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 2
    assert "Usage: python -m gateway" in capsys.readouterr().err


def test_help_is_not_kept_waiting_by_other_commands() -> None:
    program = "import sys, gateway.cli; print([m for m in sys.modules if m.startswith('gateway.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "['gateway.cli']\n"


def test_a_fault_of_our_own_shows_no_trace(place: Path) -> None:
    (place / "cli_test_adapter.py").write_text(
        ADAPTERS + "    def __init__(self, *_): raise KeyError('oh')"
    )
    command = [sys.executable, "-m", "gateway", "channels"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "KeyError" in done.stderr
    assert "Traceback" not in done.stderr


def test_roles_are_told_where_everything_is(place: Path) -> None:
    server = embedded_in(place / "data")
    environ = {"GATEWAY_WORKERS": "3", "PYTHONPATH": "mine"}
    roles = launch.roles_of(environ, Path("channels.toml"), server)
    assert [role.name for role in roles] == ["web", "worker", "clock", "worker-2", "worker-3"]
    assert {role.command[-1] for role in roles} == {"web", "worker", "clock"}
    assert roles[0].environ["REDIS_URL"] == server.url
    assert roles[0].environ["GATEWAY_CONFIG"] == str(place / "channels.toml")
    assert roles[0].environ["PYTHONPATH"] == f"{ROOT}{os.pathsep}mine"


@pytest.mark.parametrize("number", ["0", "many", "-1", "33"])
def test_a_number_of_workers_that_is_none(number: str) -> None:
    with pytest.raises(ConfigError, match="GATEWAY_WORKERS"):
        launch.roles_of({"GATEWAY_WORKERS": number}, Path("channels.toml"), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_CONCURRENCY", "two"),
        ("WEB_CONCURRENCY", "0"),
        ("PORT", "http"),
        ("PORT", "65536"),
        ("GATEWAY_BIND", "127.0.0.1"),
        ("GATEWAY_BIND", "here:and:there"),
        ("GATEWAY_BIND", "127.0.0.1:65536"),
    ],
)
def test_what_web_cannot_be_started_with(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["run"]) == 1
    said = capsys.readouterr()
    assert f"environment: {name}: must be " in said.err
    assert "listens" not in said.out


def test_an_address_that_is_taken_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Supervisor, "run", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("GATEWAY_BIND", address)
        assert main(["run"]) == 0
    assert f"{address} is in use by another program" in capsys.readouterr().out
    assert main(["run"]) == 0
    assert "in use" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "127.0.0.1:8080"),
        ({"PORT": "5000"}, "0.0.0.0:5000"),
        ({"PORT": "5000", "GATEWAY_BIND": "[::1]:9"}, "[::1]:9"),
        ({"GATEWAY_BIND": "unix:/run/gateway.sock"}, "unix:/run/gateway.sock"),
    ],
)
def test_where_web_listens(environ: dict[str, str], address: str) -> None:
    command = launch.web_command(environ)
    assert command[command.index("--bind") + 1] == address


def test_the_heroku_description_names_what_the_example_needs() -> None:
    described = json.loads((ROOT / "app.json").read_text())
    example = (ROOT / "channels.example.toml").read_text()
    for name in ("PUBLIC_URL", "GATEWAY_SECRET", "GATEWAY_ADMIN_TOKEN", "CHATWOOT_TOKEN"):
        assert name in described["env"]
        assert f"${{{name}}}" in example


VARIABLES = {
    "PUBLIC_URL": "https://gw.example.org",
    "GATEWAY_SECRET": "0123456789abcdef",
    "GATEWAY_ADMIN_TOKEN": "0123456789abcdef",
    "CHATWOOT_URL": "https://chat.example.org",
    "CHATWOOT_ACCOUNT": "1",
    "CHATWOOT_INBOX": "7",
    "CHATWOOT_TOKEN": "t",
    "TELEGRAM_TOKEN": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
    "TWILIO_AUTH_TOKEN": "t",
    "CHATWOOT_SIGNING_SECRET": "s",
    "MAIL_PASSWORD": "t",
}


@pytest.mark.parametrize("name", ["channels.example.toml", "channels.heroku.toml"])
def test_the_files_that_we_ship_are_good(name: str) -> None:
    assert load(ROOT / name, VARIABLES).channels


def test_everything_in_the_example_is_good_and_every_key_is_in_it(place: Path) -> None:
    text = (ROOT / "channels.example.toml").read_text()
    path = place / "all.toml"
    path.write_text(re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", text))
    settings = load(path, VARIABLES)
    assert {channel.config.adapter for channel in settings.channels.values()} == set(known_kinds())
    for channel in settings.channels.values():
        common = set() if channel.name == "my-bot" else set(ChannelConfig.model_fields)
        assert channel.config.model_fields_set >= set(type(channel.config).model_fields) - common
    defaults = settings.channels["my-bot"].config.conversation_defaults
    assert defaults.model_fields_set == set(type(defaults).model_fields)
    gateway = set(type(settings.gateway).model_fields) - {"redis_url"}
    assert settings.gateway.model_fields_set >= gateway


def test_token_prints_what_the_closed_pages_ask_for(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GATEWAY_CONFIG", str(ROOT / "channels.heroku.toml"))
    assert main(["token"]) == 0
    assert capsys.readouterr().out == VARIABLES["GATEWAY_ADMIN_TOKEN"] + "\n"


@pytest.mark.parametrize("name", ["PORT", "WEB_CONCURRENCY", "GATEWAY_WORKERS", "GATEWAY_BIND"])
def test_check_refuses_what_run_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(name, "many")
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert f"environment: {name}: must be" in said
    assert re.search(r"\n    (Set|Write) it .*\b(\d|number)", said), "the right value is shown"


@pytest.fixture
def env_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`.env` beside the settings; what it sets is taken back at the end."""
    for name in ("CHATWOOT_TOKEN", "GATEWAY_WORKERS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    file = place / ".env"
    file.write_bytes(b"# ours\r\nexport CHATWOOT_TOKEN='from the file'\r\nGATEWAY_WORKERS=many\r\n")
    file.chmod(0o600)
    return file


def test_variables_come_from_the_file_beside_the_settings(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", str(env_file.parent / "channels.toml"))
    monkeypatch.chdir("/")
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert "GATEWAY_WORKERS: must be a number" in said
    assert "contains characters that no token has" in said, "the file's value, with its blank"
    assert "from the file" not in said


def test_the_environment_goes_before_the_file(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHATWOOT_TOKEN", "chatwoot-token")
    monkeypatch.setenv("GATEWAY_WORKERS", "1")
    assert main(["check"]) == 0
    assert "Other users" not in capsys.readouterr().out
    env_file.chmod(0o644)
    assert main(["check"]) == 0
    assert "run `chmod 600 .env`" in capsys.readouterr().out


def test_a_line_that_is_no_variable_is_named_without_its_text(
    env_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file.write_text("CHATWOOT_TOKEN=one two\n")
    assert main(["check"]) == 1
    told = capsys.readouterr()
    assert ".env:1: is not a variable" in told.out + told.err
    assert "two" not in told.out + told.err
