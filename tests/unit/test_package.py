"""The package that `pip install .` makes: what is in it, and that it works outside this folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from gateway import __version__
from tests.unit.documents import ROOT, read

PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
PACKED = ("pyproject.toml", "README.md", "LICENSE", "gateway", "adapters", "tests")
CONFIG = """\
[gateway]
public_url = "https://gw.example.org"
secret = "0123456789abcdef"
[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "a-token"
[channels.front]
adapter = "twilio"
inbox = 7
account_sid = "AC0123456789abcdef"
auth_token = "a-token-of-twilio"
sender = "+15550001111"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built offline from a copy: setuptools leaves a folder beside what it builds."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKED:
        if (ROOT / name).is_dir():
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=leave)
        else:
            shutil.copy(ROOT / name, source / name)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--wheel-dir"]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(target), str(source)]
    subprocess.run(command, check=True, timeout=120)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `gateway`, of the wheel in an environment that sees what we have installed."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "ours.pth").write_text(f"{ours}\n")
    python = str(folder / "bin" / "python")
    options = ["--no-deps", "--no-index", "--quiet", "--ignore-installed"]
    command = [sys.executable, "-m", "pip", "--python", python, "install", *options, str(wheel)]
    subprocess.run(command, check=True, timeout=120)
    return folder / "bin" / "gateway"


def run(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ""}
    return subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def needed(lines: list[str]) -> dict[str, Requirement]:
    found = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {requirement.name: requirement for requirement in found}


def test_the_package_needs_what_requirements_txt_pins() -> None:
    for_gateway, _, _ = read("requirements.txt").partition("# The sandbox")
    pins, wanted = needed(for_gateway.splitlines()), needed(PROJECT["dependencies"])
    assert pins.keys() == wanted.keys()
    for name, pin in pins.items():
        (pinned,) = pin.specifier
        assert wanted[name].specifier.contains(pinned.version), f"{wanted[name]} excludes {pin}"
        assert wanted[name].extras == pin.extras


def test_the_wheel_holds_all_that_the_gateway_reads_and_nothing_else(wheel: Path) -> None:
    packed = set(ZipFile(wheel).namelist())
    for package in ("gateway", "adapters"):
        files = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / package).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert files - packed == set()
    assert {name.partition("/")[0] for name in packed} == {
        "gateway",
        "adapters",
        f"chatwoot_channel_gateway-{__version__}.dist-info",
    }


def test_the_command_tells_its_version(program: Path, tmp_path: Path) -> None:
    ended = run(program, tmp_path, "--version")
    assert ended.stdout == f"gateway, version {__version__}\n", ended.stderr


def test_the_command_checks_settings(program: Path, tmp_path: Path) -> None:
    (tmp_path / "channels.toml").write_text(CONFIG)
    ended = run(program, tmp_path, "check")
    assert ended.stdout.startswith("channels.toml is fine: 1 channel (front)."), ended.stderr
    assert ended.returncode == 0


def test_the_command_finds_an_adapter_beside_its_settings(program: Path, tmp_path: Path) -> None:
    """As `python -m gateway` does."""
    (tmp_path / "pigeons.py").write_text(
        "from gateway.adapter import Adapter\nclass Post(Adapter): ...\n"
    )
    head, _, _ = CONFIG.partition("[channels.front]")
    settings = f'{head}[channels.front]\nadapter = "pigeons:Post"\ninbox = 7\n'
    (tmp_path / "channels.toml").write_text(settings)
    assert run(program, tmp_path, "check").returncode == 0
