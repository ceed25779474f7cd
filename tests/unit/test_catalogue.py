from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway.config.adapters
from gateway.config.adapters import BrokenAdapter, UnknownAdapter, find_adapter, known_kinds

ADAPTER = "from gateway.adapter import Adapter\nclass {}(Adapter): ...\n"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to import from, with a package `birds` in the place of `adapters`."""
    before = set(sys.modules)
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(gateway.config.adapters, "PACKAGE", "birds")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_finds_a_module_by_name(modules: Path) -> None:
    (modules / "birds/dove.py").write_text(ADAPTER.format("Dove") + "class _Nest(Adapter): ...\n")
    assert find_adapter("dove").__name__ == "Dove"


def test_finds_what_a_package_defines_in_its_own_modules(modules: Path) -> None:
    (modules / "birds/owl").mkdir()
    (modules / "birds/owl/__init__.py").write_text("from birds.owl.night import Owl\n")
    (modules / "birds/owl/night.py").write_text(ADAPTER.format("Owl"))
    assert find_adapter("owl").__name__ == "Owl"


def test_finds_what_a_package_imports_when_it_is_asked_for(modules: Path) -> None:
    (modules / "birds/owl").mkdir()
    (modules / "birds/owl/__init__.py").write_text(
        '__all__ = ["Owl"]\ndef __getattr__(name):\n'
        "    from birds.owl.night import Owl\n    return Owl\n"
    )
    (modules / "birds/owl/night.py").write_text(ADAPTER.format("Owl"))
    assert find_adapter("owl").__name__ == "Owl"


def test_an_adapter_that_is_only_imported_does_not_count(modules: Path) -> None:
    (modules / "birds/dove.py").write_text(ADAPTER.format("Dove"))
    text = "from birds.dove import Dove\nclass White(Dove): ...\n"
    (modules / "birds/white.py").write_text(text)
    assert find_adapter("white").__name__ == "White"


def test_finds_an_entry_point(modules: Path) -> None:
    (modules / "far.py").write_text(ADAPTER.format("Stork"))
    installed(modules, "far", "stork = far:Stork")
    assert find_adapter("stork").__name__ == "Stork"
    assert known_kinds() == ("stork",)
    assert "far" not in known_kinds()


def test_finds_a_dotted_path(modules: Path) -> None:
    (modules / "far.py").write_text(ADAPTER.format("Stork"))
    assert find_adapter("far:Stork").__name__ == "Stork"


def test_knows_names_without_importing(modules: Path) -> None:
    (modules / "birds/crow.py").write_text("raise SystemError('imported')")
    (modules / "birds/_text.py").touch()
    assert known_kinds() == ("crow",)
    assert "birds.crow" not in sys.modules


@pytest.mark.parametrize(
    "kind", ["nobody", "../etc", "", "os", "far:Stork", "no.such:Class", "far:", ":x", "a b:C"]
)
def test_what_there_is_not(modules: Path, kind: str) -> None:
    with pytest.raises(UnknownAdapter):
        find_adapter(kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "defines none"),
        (ADAPTER.format("A") + "class B(Adapter): ...\n", "defines A, B"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def x(:", "SyntaxError"),
        ("raise KeyError('oh')", "KeyError"),
    ],
)
def test_what_cannot_be_used_says_why(modules: Path, text: str, said: str) -> None:
    (modules / "birds/emu.py").write_text(text)
    with pytest.raises(BrokenAdapter, match=said):
        find_adapter("emu")


DECLARES = ADAPTER.replace(": ...\n", ":\n    ").format("Emu")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("class Config: key: str", "Config is not a subclass of ChannelConfig"),
        ("Config = None", "Config is not a subclass of ChannelConfig"),
        ("class Config(ChannelConfig): inbox: str", "redefines «inbox»"),
        (
            "class Config(ChannelConfig): conversation_defaults: str = ''",
            "redefines «conversation_defaults»",
        ),
        ("capabilities = {}", r"must be Capabilities\(…\), not dict"),
    ],
)
@pytest.mark.parametrize("kind", ["emu", "birds.emu:Emu"])
def test_declarations_that_the_core_cannot_read(
    modules: Path, line: str, said: str, kind: str
) -> None:
    (modules / "birds/emu.py").write_text(
        f"from gateway.adapter import ChannelConfig\n{DECLARES}{line}\n"
    )
    with pytest.raises(BrokenAdapter, match=said):
        find_adapter(kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [("import no_such_thing", "far cannot be imported: ModuleNotFound"), ("1 / 0", "ZeroDivision")],
)
def test_a_package_on_the_way_that_breaks(modules: Path, text: str, said: str) -> None:
    (modules / "far").mkdir()
    (modules / "far/__init__.py").write_text(text)
    (modules / "far/away.py").write_text(ADAPTER.format("Stork"))
    with pytest.raises(BrokenAdapter, match=said):
        find_adapter("far.away:Stork")


def test_a_path_to_something_else(modules: Path) -> None:
    with pytest.raises(BrokenAdapter, match="not a subclass"):
        find_adapter("gateway.adapter:Adapter")


def installed(folder: Path, package: str, entry: str) -> None:
    """What pip leaves of a package that declares an adapter."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[chatwoot_gateway.adapters]\n{entry}\n")


def test_a_package_cannot_take_the_name_of_an_adapter_that_ships(modules: Path) -> None:
    (modules / "birds/dove.py").write_text(ADAPTER.format("Dove"))
    installed(modules, "far", "dove = far:Dove")
    with pytest.raises(BrokenAdapter, match=r"as birds\.dove and as far:Dove of the package far"):
        find_adapter("dove")


def test_two_packages_cannot_have_the_same_name(modules: Path) -> None:
    installed(modules, "far", "stork = far:Stork")
    installed(modules, "wide", "stork = wide:Stork")
    with pytest.raises(BrokenAdapter) as caught:
        find_adapter("stork")
    assert "far:Stork of the package far" in str(caught.value)
    assert "wide:Stork of the package wide" in str(caught.value)


def test_the_same_class_declared_twice_is_no_collision(modules: Path) -> None:
    (modules / "far.py").write_text(ADAPTER.format("Stork"))
    installed(modules, "far", "stork = far:Stork")
    installed(modules, "old_far", "stork = far:Stork")
    assert find_adapter("stork").__name__ == "Stork"
