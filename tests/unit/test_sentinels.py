"""Which Redis: what the environment may say of sentinels."""

from __future__ import annotations

import re

import pytest

from gateway.config.sentinels import Login, Sentinels, from_environment, from_url

THREE = "one:26379,two:26380,three/mymaster"


def test_addresses_name_and_database() -> None:
    found = from_environment(
        {"REDIS_SENTINELS": " rediss://10.0.0.1, [::1]:5,c.example.org/main/3"}
    )
    assert found == Sentinels(
        (("10.0.0.1", 26379), ("::1", 5), ("c.example.org", 26379)), "main", 3, encrypted=True
    )


def test_passwords_have_variables_of_their_own() -> None:
    environ = {
        "REDIS_SENTINELS": THREE,
        "REDIS_USERNAME": "app",
        "REDIS_PASSWORD": "p@s:s/?#%",
        "REDIS_SENTINEL_USERNAME": "watch",
        "REDIS_SENTINEL_PASSWORD": "&=+ ",
    }
    found = from_environment(environ)
    assert found is not None
    assert (found.server, found.sentinel) == (Login("app", "p@s:s/?#%"), Login("watch", "&=+ "))
    assert from_url(found.url) == found


def test_without_the_variable_there_are_none() -> None:
    assert from_environment({"REDIS_URL": "redis://x", "REDIS_PASSWORD": "p"}) is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("one:26379,two:26379", "must end in / and the primary's name"),
        ("one:26379/", "must end in / and the primary's name"),
        ("/mymaster", "has «» where a sentinel's host:port must be"),
        ("one,,two/mymaster", "has «» where"),
        ("one:70000/mymaster", "has «one:70000» where"),
        ("one;two/mymaster", "has «one;two» where"),
        ("one/my master", "has an invalid name for the primary: «my master»"),
        ("one/mymaster/first", "has «first» where the database number must be"),
        ("https://one/mymaster", "must begin with redis://, rediss:// or the first address"),
        ("u:topsecret@one/mymaster", "contains a user or password"),
    ],
)
def test_what_is_wrong_is_said_without_a_password(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wrong)) as caught:
        from_environment({"REDIS_SENTINELS": text})
    assert "topsecret" not in str(caught.value)
