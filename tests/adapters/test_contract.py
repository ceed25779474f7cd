"""Every adapter keeps the contract; a fourth one, made up for the purpose, keeps it in 40 lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.runtime import Runtime
from tests.adapters import contract
from tests.adapters.subjects import SUBJECTS, Subject
from tests.scripted import Behaviour, ScriptedServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.kind)
def subject(request: pytest.FixtureRequest, runtime: Runtime) -> Iterator[Subject]:
    kind: type[Subject] = request.param
    subject = kind(runtime)
    yield subject
    subject.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def recorded(sort: str) -> list[object]:
    """Each recorded case of each adapter as a test of its own."""
    return [
        pytest.param(kind, name, id=f"{kind.kind}-{name}")
        for kind in SUBJECTS
        for name in kind(Runtime()).cases(sort)
    ]


@pytest.mark.parametrize(("subject", "name"), recorded("parse"), indirect=["subject"])
def test_recorded_webhooks_are_read(subject: Subject, name: str) -> None:
    contract.recorded_webhooks_are_read(subject, name)


@pytest.mark.parametrize(("subject", "name"), recorded("send"), indirect=["subject"])
def test_recorded_parts_are_sent(subject: Subject, name: str, server: ScriptedServer) -> None:
    contract.recorded_parts_are_sent(subject, server, name)


@pytest.mark.parametrize(("subject", "name"), recorded("open"), indirect=["subject"])
def test_recorded_files_are_opened(subject: Subject, name: str, server: ScriptedServer) -> None:
    contract.recorded_files_are_opened(subject, server, name)


@pytest.mark.parametrize(("subject", "name"), recorded("answers"), indirect=["subject"])
def test_recorded_answers_mean_errors(subject: Subject, name: str, server: ScriptedServer) -> None:
    contract.recorded_answers_mean_errors(subject, server, name)


def test_only_the_network_is_let_in(subject: Subject) -> None:
    contract.only_the_network_is_let_in(subject)


def test_a_signature_holds_for_one_message_only(subject: Subject) -> None:
    contract.a_signature_holds_for_one_message_only(subject)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_is_read_or_refused(subject: Subject, seed: int) -> None:
    bodies = contract.broken_bodies(subject, seed)
    contract.whatever_comes_is_read_or_refused(subject, bodies)


def test_a_429_is_obeyed(subject: Subject, server: ScriptedServer) -> None:
    contract.a_429_is_obeyed(subject, server)


def test_server_trouble_is_told_apart(subject: Subject, server: ScriptedServer) -> None:
    contract.server_trouble_is_told_apart(subject, server)


def test_nonsense_after_a_write_is_unknown(subject: Subject, server: ScriptedServer) -> None:
    contract.nonsense_after_a_write_is_unknown(subject, server)


def test_nobody_there_is_unreachable(subject: Subject) -> None:
    contract.nobody_there_is_unreachable(subject)


def test_a_lost_answer_is_unknown(subject: Subject, server: ScriptedServer) -> None:
    contract.a_lost_answer_is_unknown(subject, server)


@pytest.mark.parametrize("behaviour", contract.BEHAVIOURS)
def test_no_answer_is_waited_for_longer_than_the_deadline(
    subject: Subject, server: ScriptedServer, behaviour: Behaviour
) -> None:
    contract.no_answer_is_waited_for_longer_than_the_deadline(subject, server, behaviour)


def test_the_fence_stops_a_write(subject: Subject, server: ScriptedServer) -> None:
    contract.the_fence_stops_a_write(subject, server)


def test_the_longest_text_fits_one_call(subject: Subject, server: ScriptedServer) -> None:
    contract.the_longest_text_fits_one_call(subject, server)


def test_no_secret_gets_out(
    subject: Subject, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    contract.no_secret_gets_out(subject, server, caplog)


def test_every_declared_capability_has_a_case(subject: Subject) -> None:
    contract.every_declared_capability_has_a_case(subject)


def lines(path: str) -> int:
    return len((ROOT / path).read_text("utf-8").splitlines())


def test_an_adapter_is_short() -> None:
    assert lines("tests/adapters/acme.py") <= 40
    assert lines("adapters/twilio/__init__.py") < 100


def test_the_guide_shows_the_adapter_that_the_suite_tests() -> None:
    guide = (ROOT / "docs/ADDING_A_CHANNEL.md").read_text("utf-8")
    assert f"```python\n{(ROOT / 'tests/adapters/acme.py').read_text('utf-8')}```" in guide
