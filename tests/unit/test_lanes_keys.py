"""The names of what is stored stand in one place, and the scripts have the same ones."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
import redis

from gateway.lanes import keys
from tests.unit.documents import ROOT

LUA_KEYS = files("gateway.lanes").joinpath("prelude", "keys.lua").read_text("utf-8")
FUNCTIONS = re.findall(r"^local function key_(\w+)\(([\w, ]+)\)", LUA_KEYS, re.MULTILINE)
CONSTANTS = re.findall(r"^local KEY_(\w+) = '(.*)'$", LUA_KEYS, re.MULTILINE)
SPELLS_A_KEY = re.compile(r"""[\"']gw:""")
NOT_OF_REDIS = {"gateway/lanes/ids.py", "gateway/chatwoot/values.py"}
"""Source ids in Chatwoot begin with the same letters."""


@pytest.mark.parametrize(("name", "parameters"), FUNCTIONS)
def test_the_scripts_make_the_same_keys(store: redis.Redis, name: str, parameters: str) -> None:
    values = [f"{parameter}-{n}" for n, parameter in enumerate(parameters.split(", "))]
    arguments = ", ".join(f"'{value}'" for value in values)
    assert store.eval(f"{LUA_KEYS}\nreturn key_{name}({arguments})", 0) == getattr(keys, name)(
        *values
    )


@pytest.mark.parametrize(("name", "key"), CONSTANTS)
def test_the_scripts_have_the_same_constants(name: str, key: str) -> None:
    assert key == getattr(keys, name)


def test_every_line_of_the_scripts_keys_was_compared() -> None:
    lines = re.findall(r"^local .*$", LUA_KEYS, re.MULTILINE)
    assert len(lines) == len(FUNCTIONS) + len(CONSTANTS)


def test_a_key_is_spelled_nowhere_else() -> None:
    sources = [path for kind in ("py", "lua") for path in ROOT.glob(f"gateway/**/*.{kind}")]
    spelled = {
        str(path.relative_to(ROOT))
        for path in sources
        if SPELLS_A_KEY.search(path.read_text("utf-8"))
    }
    assert spelled - NOT_OF_REDIS == {"gateway/lanes/keys.py", "gateway/lanes/prelude/keys.lua"}
