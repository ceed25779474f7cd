"""The locks: all that the requirements need, each with the hashes of its files, and no address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from itertools import product

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.unit.documents import ROOT, read

LISTS = ("requirements", "requirements-dev", "requirements-tools")
ENTRY = re.compile(
    r"^(\S+?)==([^\s;]+)(?: ; ([^\\\n]+?))? \\\n((?: {4}--hash=\S+(?: \\)?\n)+)", re.M
)
PYTHONS = ("3.11.0", "3.11.9", "3.12.0", "3.13.0")
SYSTEMS = (
    ("linux", "Linux", "x86_64"),
    ("linux", "Linux", "aarch64"),
    ("darwin", "Darwin", "arm64"),
)


@dataclass(frozen=True, slots=True)
class Locked:
    version: str
    marker: str
    hashes: tuple[str, ...]


def locked(name: str) -> dict[NormalizedName, Locked]:
    return {
        canonicalize_name(re.sub(r"\[.*", "", found[0])): Locked(
            found[1], found[2], tuple(re.findall(r"--hash=(\S+)", found[3]))
        )
        for found in ENTRY.findall(read(f"{name}.lock"))
    }


def pins(name: str) -> list[Requirement]:
    """What a list names itself, and what the lists that it includes name."""
    found: list[Requirement] = []
    for line in read(f"{name}.txt").splitlines():
        if line.startswith("-r "):
            found += pins(line.removeprefix("-r ").removesuffix(".txt"))
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


@pytest.mark.parametrize("name", LISTS)
def test_a_lock_fits_its_requirements(name: str) -> None:
    lock = locked(name)
    for pin in pins(name):
        assert pin.specifier.contains(lock[canonicalize_name(pin.name)].version), (
            f"{pin} is not what {name}.lock has: run `make lock`"
        )


@pytest.mark.parametrize("name", LISTS)
def test_every_line_of_a_lock_is_an_entry_with_hashes(name: str) -> None:
    text = read(f"{name}.lock")
    assert re.sub(r"^ *#.*\n", "", ENTRY.sub("", text), flags=re.MULTILINE) == ""
    hashes = [each for entry in locked(name).values() for each in entry.hashes]
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("name", LISTS)
def test_a_lock_names_no_index_and_no_folder(name: str) -> None:
    assert (
        re.findall(r"://|--index|--extra|--find|file:|^-|/", read(f"{name}.lock"), re.MULTILINE)
        == []
    )


def test_tests_run_with_what_the_gateway_runs_with() -> None:
    development = locked("requirements-dev")
    assert {name: entry.version for name, entry in locked("requirements").items()}.items() <= {
        name: entry.version for name, entry in development.items()
    }.items()


@pytest.mark.parametrize(("python", "system"), list(product(PYTHONS, SYSTEMS)))
def test_nothing_that_is_needed_is_missing(python: str, system: tuple[str, str, str]) -> None:
    """With `--require-hashes` pip refuses all if one is."""
    environment = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": system[0],
        "platform_system": system[1],
        "platform_machine": system[2],
    }
    lock, waiting = locked("requirements-dev"), pins("requirements-dev")
    seen: set[str] = set()
    while waiting:
        needed = waiting.pop()
        if str(needed) in seen:
            continue
        seen.add(str(needed))
        entry = lock[canonicalize_name(needed.name)]
        assert not entry.marker or Marker(entry.marker).evaluate(environment), needed
        for further in map(Requirement, _needs(needed.name)):
            extras = ("", *needed.extras)
            asked = ({**environment, "extra": extra} for extra in extras)
            if further.marker is None or any(map(further.marker.evaluate, asked)):
                waiting.append(further)


def _needs(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []  # of another Python or system than this


def test_make_installs_from_the_locks_alone() -> None:
    installs = re.findall(r"^.*\$\(INSTALL\).*$", read("Makefile"), re.MULTILINE)
    assert installs
    assert all(line.endswith("-r $<") for line in installs)
    assert "INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes" in read(
        "Makefile"
    )
    assert {path.stem for path in ROOT.glob("requirements*.lock")} == set(LISTS)


def test_an_audit_that_learned_nothing_fails() -> None:
    """Without `--strict` pip-audit ends well where its database knows of nothing."""
    assert "/bin/pip-audit --strict " in read("Makefile")
