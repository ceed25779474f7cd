"""The documents say what the code does: what they name exists, and what exists is named."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.adapter import ChannelConfig
from gateway.chatwoot.conversation_defaults import ConversationDefaults
from gateway.cli import main
from gateway.config import load
from gateway.config.adapters import find_adapter
from gateway.config.values import ChatwootAccount, GatewaySettings
from tests.unit.documents import (
    CODE,
    DOCUMENTS,
    ROOT,
    anchors,
    blocks,
    calls,
    code_in,
    functions_in,
    read,
    rows,
    section,
    texts,
    trees,
)

OPERATING = read("docs/OPERATING.md")
CHANNELS = {"telegram": "docs/telegram.md", "twilio": "docs/twilio.md", "email": "docs/email.md"}
NEEDED = """
[gateway]
public_url = "https://gateway.example.org"
secret = "0123456789abcdef"
"""
NEEDED_CHATWOOT = """
[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "a-token"
"""
INVENTED = {
    "CHATWOOT_URL": "https://chat.example.org",
    "PUBLIC_URL": "https://gateway.example.org",
    "CHATWOOT_ACCOUNT": "1",
    "CHATWOOT_INBOX": "7",
    "TWILIO_ACCOUNT_SID": "AC0123456789abcdef",
}
NOT_OURS = {"PYTHONPATH"}
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    prose = CODE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


@each_document
def test_commands_exist(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = r"python -m gateway ([a-z]+(?: (?:list|show|replay|drop)\b)?)"
    for command in set(re.findall(words, code_in(path.read_text(encoding="utf-8")))):
        assert main([*command.split(), "--help"]) == 0, command
    capsys.readouterr()


@each_document
def test_make_targets_exist(path: Path) -> None:
    known = re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE)
    named = re.findall(r"(?:^|`)\s*make (\w+)", code_in(path.read_text("utf-8")), re.MULTILINE)
    assert set(named) <= set(known)


def test_every_command_is_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    commands = re.findall(r"^  ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)
    table = section(read("README.md"), "Commands")
    assert commands
    assert [name for name in commands if not re.search(rf"\b{name}\b", table)] == []


def _settings_in_documents() -> Iterator[object]:
    for path in DOCUMENTS:
        for number, block in enumerate(blocks(path.read_text(encoding="utf-8"), "toml")):
            yield pytest.param(block, id=f"{path.name}-{number}")
    for name in ("channels.heroku.toml", "channels.example.toml"):
        yield pytest.param(read(name), id=name)


@pytest.mark.parametrize("text", list(_settings_in_documents()))
def test_settings_in_the_documents_can_be_loaded(text: str, tmp_path: Path) -> None:
    text = text.replace('"acme"', '"tests.adapters.acme:Acme"')
    if "[gateway]" not in text:
        text += NEEDED
    if "[chatwoot." not in text:
        text += NEEDED_CHATWOOT
    file = tmp_path / "channels.toml"
    file.write_text(text, encoding="utf-8")
    names = re.findall(r"\$\{(\w+)\}", text)
    environ = {name: INVENTED.get(name, f"0123456789-{name}") for name in names}
    assert load(file, environ).channels


def _default(field: FieldInfo) -> str:
    """What the column «default» has to say."""
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return "–"
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    return "–" if value is None else f"`{json.dumps(value)}`"


def _keys(model: type[BaseModel]) -> dict[str, str]:
    fields = model.model_fields
    return {field.alias or name: _default(field) for name, field in fields.items()}


def _documented(text: str) -> dict[str, str]:
    return {row[0].strip("`"): row[1] for row in rows(text)}


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_setting_of_a_channel_has_its_row(kind: str) -> None:
    of_all = _keys(ChannelConfig)
    own = {key: d for key, d in _keys(find_adapter(kind).Config).items() if key not in of_all}
    assert _documented(section(read(CHANNELS[kind]), "Settings")) == own


def test_every_setting_of_the_gateway_has_its_row() -> None:
    gateway, chatwoot = _keys(GatewaySettings), _keys(ChatwootAccount)
    del gateway["redis_url"], chatwoot["name"]
    assert _documented(section(OPERATING, "[gateway]")) == gateway
    assert _documented(section(OPERATING, "[chatwoot.NAME]")) == chatwoot
    assert _documented(section(OPERATING, "Settings of every channel")) == _keys(ChannelConfig)
    assert _documented(section(OPERATING, "[channels.NAME.conversation_defaults]")) == _keys(
        ConversationDefaults
    )


def test_every_environment_variable_has_its_row() -> None:
    used = {
        name
        for function, arguments in calls("gateway", "adapters")
        if re.search(r"(environ\.get|getenv)$", function) and arguments
        for name in texts(arguments[0])
    }
    assert set(_documented(section(OPERATING, "Environment variables"))) == used - NOT_OURS


def _counted() -> set[str]:
    """What is counted; with «<» at its end where the rest of the name is made up at run time."""
    lua = "\n".join(path.read_text("utf-8") for path in ROOT.glob("gateway/lanes/**/*.lua"))
    found = {
        name + ("<" if more else "_total")
        for name, more in re.findall(r"\bcount\('([a-z_]+?)_?'( \.\.)?", lua)
    }
    named = {
        name
        for function, arguments in calls("gateway")
        if function.endswith(("counts.add", "counts.add_later", "counts.add_soon"))
        for name in texts(arguments[0])
    }
    # Here the name is a variable, because the log line bears it too.
    either = re.findall(r'what = "(\w+)" if \w+ else "(\w+)"', read("gateway/web/channels.py"))
    return {f"gateway_{name}" for name in found} | {
        f"gateway_{name}_total" for name in named | {name for pair in either for name in pair}
    }


def test_every_metric_has_its_row() -> None:
    gauges = set(re.findall(r'"(gateway_[a-z_]+)"', read("gateway/observability/metrics.py")))
    counted = {name.replace("<", "_<") for name in _counted()}
    named = {row[0].strip("`") for row in rows(section(OPERATING, "Metrics"))}
    assert {re.sub(r"<.*", "<", name) for name in named} == gauges | counted


def test_every_event_has_its_row() -> None:
    said = {
        name
        for function, arguments in calls("gateway", "adapters")
        if function in {"event", "logs.event"} and len(arguments) > 1
        for name in texts(arguments[1])
    }
    named = {
        name
        for row in rows(section(OPERATING, "Log lines"))
        for name in re.findall(r"`(\w+)`", row[0])
    }
    assert named - {"unreadable", "dropped"} == said


@pytest.mark.parametrize("name", [*CHANNELS.values(), "docs/OPERATING.md"])
def test_reasons_are_those_of_the_code(name: str) -> None:
    """A reason that an agent may read stands in the code, but for numbers and «…»."""
    said = {
        node.value
        for tree in trees("gateway", "adapters")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    table = rows(section(read(name), "What an agent may read"))
    assert table
    for row in table:
        words = max(re.split(r"…|\d+", row[0]), key=len).strip()
        assert any(words in text for text in said), row[0]


def test_the_architecture_names_what_exists_and_every_module() -> None:
    named = set(
        re.findall(r"`((?:gateway|adapters|sandbox|tests|bench)/[\w./]*)`", read("ARCHITECTURE.md"))
    )
    assert [name for name in named if not (ROOT / name).exists()] == []
    modules = {f"gateway/{path.name}" for path in ROOT.glob("gateway/*.py")}
    rooms = {path.parent.relative_to(ROOT) for path in ROOT.glob("gateway/**/__init__.py")}
    modules |= {f"{room}/" for room in rooms if room.name != "gateway"}
    modules -= {"gateway/__init__.py", "gateway/__main__.py"}
    assert sorted(modules - named) == []


def test_the_architecture_names_every_script_of_work() -> None:
    table = section(read("ARCHITECTURE.md"), "RQ is the doorbell, Redis holds the letter")
    named = {name for row in rows(table) for name in row[0].split(", ")}
    scripts = {path.stem for path in ROOT.glob("gateway/lanes/*.lua")}
    assert named <= scripts
    assert scripts - named <= {
        "backlog",
        "pending",
        "forget_conversation",
        "lock",
        "unlock",
    }


def _walks() -> dict[str, list[str]]:
    """Title → hops, each as `file:function`."""
    text = section(read("ARCHITECTURE.md"), "Six walks")
    titled = re.split(r"^\*\*(.+)\*\*$", text, flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"^\d+\. `(\S+?)`", hops, re.MULTILINE)
        for title, hops in zip(titled[::2], titled[1::2], strict=True)
    }


def test_every_hop_of_the_walks_exists() -> None:
    walks = _walks()
    assert len(walks) == 6
    for title, hops in walks.items():
        assert 5 <= len(hops) <= 12, title
        for hop in hops:
            file, _, function = hop.partition(":")
            assert function in functions_in(file), f"{title}: {hop}"


def test_the_glossary_is_short() -> None:
    assert len(rows(section(read("ARCHITECTURE.md"), "Words"))) <= 20


def test_every_trap_has_its_tests_and_the_reverse() -> None:
    listed = {
        (int(number), name)
        for number, _, names in rows(read("docs/TRAPS.md"))
        for name in re.findall(r"`(test_\w+)`", names)
    }
    assert {number for number, _ in listed} == {int(row[0]) for row in rows(read("docs/TRAPS.md"))}
    played = {
        (int(number), f"test_trap_{number}{rest}")
        for path in ROOT.glob("tests/traps/test_*.py")
        for number, rest in re.findall(r"^def test_trap_(\d+)(\w+)", path.read_text("utf-8"), re.M)
    }
    assert listed == played


def test_every_test_of_a_trap_has_a_number() -> None:
    named = [
        name
        for path in ROOT.glob("tests/traps/test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.M)
    ]
    assert [name for name in named if not re.match(r"test_trap_\d+_", name)] == []


def test_every_change_names_files_that_exist() -> None:
    changes = {row[0]: row[1] for row in rows(section(read("CONTRIBUTING.md"), "Ten changes"))}
    assert len(changes) == 10
    for change, cell in changes.items():
        named = [name for name in re.findall(r"`([^`]+)`", cell) if name != "adapter.py"]
        assert [name for name in named if not (ROOT / name).exists()] == [], change
        assert 0 < len(named) <= (4 if change != "groups" else 8), change


def test_contributing_names_files_that_exist() -> None:
    named = re.findall(r"`((?:tests|gateway|sandbox|docs)/[\w./]*)`", read("CONTRIBUTING.md"))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_quick_choice_has_files_of_every_room_of_tests() -> None:
    [chosen] = re.findall(r"^QUICK := ((?:.*\\\n)*.*)$", read("Makefile"), re.MULTILINE)
    files = chosen.replace("\\", " ").split()
    assert [name for name in files if not (ROOT / name).exists()] == []
    rooms = {path.parent.name for path in ROOT.glob("tests/*/test_*.py")}
    assert {name.split("/")[1] for name in files} == rooms
