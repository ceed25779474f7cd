from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.import_rule import ROOT, violations


def test_the_project_keeps_the_rule() -> None:
    assert list(violations(ROOT)) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gateway/a.py", "import adapters.telegram"),
        ("gateway/relay/a.py", "from sandbox import stand_ins"),
        ("gateway/a.py", "def f():\n    from adapters import telegram"),
        ("adapters/a.py", "from gateway.lanes import Lanes"),
        ("adapters/a.py", "from gateway import lanes"),
        ("adapters/mail/a.py", "import gateway.config"),
        ("adapters/a.py", "from adapters.b import B"),
        ("adapters/mail/a.py", "from ..b import B"),
        ("adapters/a.py", "import sandbox"),
        ("sandbox/a.py", "from adapters.telegram import Telegram"),
        ("gateway/relay/to_chatwoot/a.py", "from gateway.relay.to_network.parts import planned"),
        ("gateway/relay/to_chatwoot/a.py", "from gateway.relay import to_network"),
        ("gateway/relay/to_chatwoot/a.py", "from ..to_network import parts"),
        ("gateway/relay/to_network/a.py", "from gateway.relay.to_chatwoot import routing"),
        ("gateway/lanes/a.py", "from gateway.config import Channel"),
        ("gateway/lanes/a.py", "from gateway import relay"),
        ("gateway/lanes/a.py", "import gateway.web"),
        ("gateway/chatwoot/a.py", "from gateway.lanes import ids"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, path: str, text: str) -> None:
    assert len(_check(tmp_path, path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gateway/a.py", "from gateway.lanes import Lanes\nimport redis"),
        ("adapters/a.py", "from gateway import errors\nfrom gateway.adapter import Adapter"),
        ("adapters/mail/a.py", "from adapters.mail.b import B\nfrom . import c\nfrom .d import e"),
        ("sandbox/a.py", "from gateway.storage.embedded import EmbeddedValkey"),
        (
            "gateway/relay/wiring.py",
            "from gateway.relay import to_chatwoot, to_network",
        ),
        ("gateway/relay/to_chatwoot/a.py", "from gateway.relay.to_chatwoot.b import c"),
        ("gateway/lanes/a.py", "from gateway.chatwoot.files import LinkedFile"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, path: str, text: str) -> None:
    assert _check(tmp_path, path, text) == []


@pytest.mark.parametrize("package", ["gateway", "sandbox"])
@pytest.mark.parametrize(
    "back", ["from {0}.a import A", "from {0} import a", "def f():\n    import {0}.a"]
)
def test_a_circle_is_found(tmp_path: Path, package: str, back: str) -> None:
    folder = tmp_path / package
    folder.mkdir()
    (folder / "a.py").write_text(f"from {package}.b import B\n")
    (folder / "b.py").write_text(f"from {package} import c\n")
    (folder / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sys\n"
        + back.format(package)
    )
    (found,) = violations(tmp_path)
    for module in "abc":
        assert f"{package}.{module}" in found


def test_a_package_that_gathers_its_modules_is_no_circle(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox" / "mail"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from sandbox.mail.server import Server\n")
    (folder / "server.py").write_text("from sandbox.mail import mailbox\n")
    (folder / "mailbox.py").write_text("import sys\n")
    assert list(violations(tmp_path)) == []


def _check(root: Path, path: str, text: str) -> list[str]:
    file = root / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return list(violations(root))
