"""What every adapter that speaks HTTP must do, whatever its network: one function per promise.

Each is called with a `Subject` and, where the network is needed, a scripted server in its place.
"""

from __future__ import annotations

import json
import logging
import random
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, astuple, fields
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from werkzeug.formparser import parse_form_data

from gateway import errors
from gateway.adapter import Adapter
from gateway.http import fence
from gateway.model import (
    Attachment,
    Button,
    File,
    Inbound,
    Part,
    Person,
    Receipt,
    Span,
    Status,
    Style,
    WebRequest,
)
from gateway.observability.logs import CHATTY
from tests.adapters.reading import read_all
from tests.adapters.subjects import CASES, Subject, with_header
from tests.scripted import (
    Behaviour,
    Recorded,
    ScriptedServer,
    answer,
    drip_body,
    drip_headers,
    hang_up,
    refused_url,
    silence,
)

NONSENSE = (
    b"",
    b"<html>",
    b"null",
    b"[]",
    b"{}",
    b'"ok"',
    b'{"ok": true, "result": null}',
    b"\xff",
)


def told(value: Any) -> Any:
    """A value of the model as a case file has it: only what differs from the default."""
    if isinstance(value, tuple):
        return [told(each) for each in value]
    if not isinstance(value, (Inbound, Receipt, Person, Attachment)):
        return dict(value) if isinstance(value, Mapping) else value
    content: dict[str, Any] = {}
    for each in fields(value):
        found = getattr(value, each.name)
        default = each.default
        if default is MISSING and each.default_factory is not MISSING:
            default = each.default_factory()
        if default is MISSING or found != default:
            content[each.name] = told(found)
    return content


def part_of(case: Mapping[str, Any]) -> Part:
    spans = tuple(Span(Style(style), *rest) for style, *rest in case.get("spans", []))
    files = tuple(a_file(name, content_type) for name, content_type in case.get("files", []))
    buttons = tuple(Button(label, n) for n, label in enumerate(case.get("buttons", []), start=1))
    return Part(**{"id": "p1", **case, "spans": spans, "files": files, "buttons": buttons})


def a_file(name: str, content_type: str) -> File:
    """One of the recorded files."""
    path = CASES / "files" / name
    return File(name, content_type, path.stat().st_size, path)


def a_part(subject: Subject) -> Part:
    """The part of the first recorded sending."""
    return part_of(next(iter(subject.cases("send").values()))["part"])


def signed(subject: Subject, case: Mapping[str, Any]) -> WebRequest:
    content = case["request"].encode() if isinstance(case["request"], str) else case["request"]
    return subject.sign(subject.request(content, case.get("query")))


def take(adapter: Adapter, request: WebRequest) -> list[Inbound | Receipt]:
    """As the web process does it."""
    adapter.verify(request)
    return list(read_all(adapter, adapter.parse(request)))


# ---- webhooks


def recorded_webhooks_are_read(subject: Subject, name: str) -> None:
    case = subject.cases("parse")[name]
    adapter = subject.adapter(refused_url())
    if "error" in case:
        with pytest.raises(getattr(errors, case["error"])):
            take(adapter, signed(subject, case))
        return
    items = take(adapter, signed(subject, case))
    assert [{type(item).__name__: told(item)} for item in items] == case["items"]
    assert take(adapter, signed(subject, case)) == items, "the same webhook, other values"


def only_the_network_is_let_in(subject: Subject) -> None:
    """No signature, an empty one, a wrong one, one in another alphabet, one of something else."""
    adapter = subject.adapter(refused_url())
    for case in subject.cases("parse").values():
        request = signed(subject, case)
        bare = subject.request(request.body, request.query)
        added = set(request.headers) - set(bare.headers)
        assert added, "nothing is signed"
        forged = [bare]
        for name in added:
            good = request.headers[name]
            wrong = ("", "x", good[:-1], good + "x", good.swapcase(), "ключ", "\udce9")
            forged += [with_header(request, name, value) for value in wrong]
        for attempt in forged:
            with pytest.raises(errors.Forbidden):
                adapter.verify(attempt)


def a_signature_holds_for_one_message_only(subject: Subject) -> None:
    adapter = subject.adapter(refused_url())
    requests = [signed(subject, case) for case in subject.cases("parse").values()]
    for one, other in pairwise(requests):
        if one.headers == other.headers:
            continue  # a network that hands a secret back signs no content
        for name in set(one.headers) - set(subject.request(b"").headers):
            with pytest.raises(errors.Forbidden):
                adapter.verify(with_header(one, name, other.headers[name]))


def whatever_comes_is_read_or_refused(subject: Subject, bodies: Iterable[bytes]) -> None:
    """Only `Rejected`, or values that can be stored: never another exception."""
    adapter = subject.adapter(refused_url())
    for body in bodies:
        request = subject.sign(subject.request(body))
        try:
            items = take(adapter, request)
        except errors.Rejected:
            continue
        for item in items:
            json.dumps(told(item)).encode("utf-8")
            if isinstance(item, Inbound):
                assert item.id
                assert item.peer
                *texts, profiles = astuple(item.person)
                texts += [item.id, item.peer, item.text, *profiles, *profiles.values()]
                assert all(isinstance(x, str) for x in texts), item


def broken_bodies(subject: Subject, seed: int) -> list[bytes]:
    """Recorded bodies: none, cut at every place, with bytes changed, with values replaced."""
    dice = random.Random(seed)
    bodies = [b"", b"null", b"[]", b"{}", b"0", b"\xff\xfe", b"=&=", b"[" * 5000]
    for case in subject.cases("parse").values():
        body = signed(subject, case).body
        bodies += [body[:end] for end in range(0, len(body), max(1, len(body) // 12))]
        for _ in range(12):
            changed = bytearray(body or b"?")
            for _ in range(dice.randint(1, 4)):
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            bodies.append(bytes(changed))
        if subject.content_type == "application/json" and not isinstance(case["request"], str):
            bodies += [
                json.dumps(with_one_changed(case["request"], dice)).encode() for _ in range(40)
            ]
    return bodies


def with_one_changed(value: Any, dice: random.Random) -> Any:
    """The same JSON with one value, somewhere in it, of another kind or gone."""
    odd: list[Any] = [
        None,
        0,
        -1,
        10**30,
        1.5,
        "",
        "\0",
        "x" * 300,
        [],
        {},
        [[]],
        {"a": 1},
        True,
        "\ud800",
    ]
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(list(value))
        if dice.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: with_one_changed(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        place = dice.randrange(len(value))
        return [*value[:place], with_one_changed(value[place], dice), *value[place + 1 :]]
    return dice.choice(odd)


# ---- sending


def failure(adapter: Adapter, part: Part) -> errors.DeliveryError:
    with pytest.raises(errors.DeliveryError) as caught:
        adapter.send(part)
    return caught.value


def recorded_parts_are_sent(subject: Subject, server: ScriptedServer, name: str) -> None:
    case = subject.cases("send")[name]
    subject.prepare(server)
    server.script = [answer(each["status"], each["json"]) for each in case["answers"]]
    sent = subject.adapter(server.url).send(part_of(case["part"]))
    assert list(sent.external_ids) == case["sent"]
    assert [as_told(request) for request in writes(server)] == case["requests"]


def writes(server: ScriptedServer) -> list[Recorded]:
    return [request for request in server.requests if not request.path.endswith("/getMe")]


def as_told(request: Recorded) -> dict[str, Any]:
    """A request as a case file has it, with the form's values that are JSON read as such."""
    content: dict[str, Any] = {"method": request.method, "path": request.path}
    if request.headers.get("authorization"):
        content["authorization"] = request.headers["authorization"]
    if request.headers.get("content-type", "").startswith("application/json"):
        return {**content, "json": request.json}
    if request.headers.get("content-type", "").startswith("multipart/"):
        return {**content, "form": dict(uploaded(request))}
    form = {name: read_if_json(value) for name, value in request.form.items()}
    return {**content, "form": form}


def uploaded(request: Recorded) -> Iterable[tuple[str, Any]]:
    """A form with files: of each file its name, its type, and which of the recorded ones it is."""
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": request.headers["content-type"],
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.input": BytesIO(request.body),
    }
    _, form, files = parse_form_data(environ)
    for name, value in form.items():
        yield name, read_if_json(value)
    for name, file in files.items():
        content = file.read()
        known = [path.name for path in files_recorded() if path.read_bytes() == content]
        yield name, [file.filename, file.mimetype, *known]


def files_recorded() -> list[Path]:
    return sorted((CASES / "files").iterdir())


def read_if_json(value: str) -> Any:
    return json.loads(value) if value[:1] in {"[", "{"} else value


def recorded_files_are_opened(subject: Subject, server: ScriptedServer, name: str) -> None:
    case = subject.cases("open")[name]
    subject.prepare(server)
    server.script = [
        answer(each["status"], each["json"] if "json" in each else each["text"].encode())
        for each in case["answers"]
    ]
    adapter = subject.adapter(server.url)
    told_of = case["attachment"]
    attachment = Attachment(**{**told_of, "id": told_of["id"].replace("{url}", server.url)})
    if "error" in case:
        with pytest.raises(errors.DeliveryError) as caught:
            list(adapter.open(attachment))
        assert type(caught.value).__name__ == case["error"]
        assert case.get("reason", "") in caught.value.reason
    else:
        assert b"".join(adapter.open(attachment)).decode() == case["content"]
    assert [as_told(request) for request in writes(server)] == case["requests"]


def recorded_answers_mean_errors(subject: Subject, server: ScriptedServer, name: str) -> None:
    case = subject.cases("answers")[name]
    subject.prepare(server)
    server.otherwise = answer(case["status"], case["json"], case.get("headers"))
    error = failure(subject.adapter(server.url), a_part(subject))
    assert type(error).__name__ == case["error"]
    assert case.get("reason", "") in error.reason
    for what in ("after", "scope"):
        if what in case:
            assert getattr(error, what) == case[what]


def a_429_is_obeyed(subject: Subject, server: ScriptedServer) -> None:
    subject.prepare(server)
    content, headers = subject.throttled_for_7
    server.script = [answer(429, subject.throttled), answer(429, content, headers)]
    adapter = subject.adapter(server.url)
    without = failure(adapter, a_part(subject))
    assert isinstance(without, errors.Throttled)
    assert without.after is None
    told_when = failure(adapter, a_part(subject))
    assert isinstance(told_when, errors.Throttled)
    assert told_when.after == 7
    assert len(writes(server)) == 2, "an adapter must not wait and repeat by itself"


def server_trouble_is_told_apart(subject: Subject, server: ScriptedServer) -> None:
    subject.prepare(server)
    adapter = subject.adapter(server.url)
    for status in (500, 503):
        for content in (*NONSENSE, b"<h1>It does not work</h1>"):
            server.otherwise = answer(status, content)
            assert type(failure(adapter, a_part(subject))) is errors.ServerTrouble
    server.otherwise = answer(401, {})
    assert type(failure(adapter, a_part(subject))) is errors.BadCredentials


def nonsense_after_a_write_is_unknown(subject: Subject, server: ScriptedServer) -> None:
    subject.prepare(server)
    adapter = subject.adapter(server.url)
    for content in NONSENSE:
        server.otherwise = answer(200, content)
        assert type(failure(adapter, a_part(subject))) is errors.Uncertain, content


def nobody_there_is_unreachable(subject: Subject) -> None:
    error = failure(subject.adapter(refused_url()), a_part(subject))
    assert type(error) is errors.Unreachable


def a_lost_answer_is_unknown(subject: Subject, server: ScriptedServer) -> None:
    subject.prepare(server)
    server.otherwise = hang_up
    assert type(failure(subject.adapter(server.url), a_part(subject))) is errors.Uncertain


def no_answer_is_waited_for_longer_than_the_deadline(
    subject: Subject, server: ScriptedServer, behaviour: Behaviour
) -> None:
    subject.prepare(server)
    adapter = subject.adapter(server.url, deadline=0.5)
    adapter.send(a_part(subject))  # the connection stands: what follows is the call alone
    server.otherwise = behaviour
    began = monotonic()
    error = failure(adapter, a_part(subject))
    assert monotonic() - began < 4
    assert type(error) is errors.Uncertain


BEHAVIOURS = (silence, drip_headers, drip_body)


def the_fence_stops_a_write(subject: Subject, server: ScriptedServer) -> None:
    def lost() -> None:
        raise errors.LeaseLost

    subject.prepare(server)
    token = fence.set(lost)
    try:
        with pytest.raises(errors.LeaseLost):
            subject.adapter(server.url).send(a_part(subject))
    finally:
        fence.reset(token)
    assert writes(server) == []


def the_longest_text_fits_one_call(subject: Subject, server: ScriptedServer) -> None:
    limit = subject.adapter_class.capabilities.text_limit
    assert limit
    subject.prepare(server)
    subject.adapter(server.url).send(Part("p1", "42", "x" * limit))
    assert b"x" * limit in writes(server)[0].body
    assert len(writes(server)) == 1


def no_secret_gets_out(
    subject: Subject, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Not into a log, an error, nor the trace of one."""
    caplog.set_level(logging.DEBUG)
    for name in CHATTY:
        caplog.set_level(logging.WARNING, name)
    subject.prepare(server)
    ready = subject.adapter(server.url)
    ready.send(a_part(subject))
    seen = [repr(ready.config), repr(ready)]
    answers: list[Behaviour] = [answer(status, {}) for status in (400, 401, 403, 404, 409, 500)]
    for behaviour in (*answers, hang_up, answer(200, b"nonsense")):
        for adapter in (ready, subject.adapter(server.url)):  # at the write; at the start
            server.always.clear()
            server.otherwise = behaviour
            error = failure(adapter, a_part(subject))
            seen += [error.reason, error.detail, *traceback.format_exception(error)]
    for secret in subject.secrets:
        assert secret not in caplog.text
        assert secret not in "\n".join(seen)


def every_declared_capability_has_a_case(subject: Subject) -> None:
    declared = subject.adapter_class.capabilities
    parts = [part_of(case["part"]) for case in subject.cases("send").values()]
    assert {span.style for part in parts for span in part.spans} == declared.styles
    items = [
        item["Receipt"]
        for case in subject.cases("parse").values()
        for item in case.get("items", [])
        if "Receipt" in item
    ]
    assert {Status(item["status"]) for item in items} == declared.receipts
    if subject.adapter_class.delete is not Adapter.delete:
        assert subject.cases("delete")
    assert any(part.files for part in parts) == (declared.files is not None)
    assert any(part.buttons for part in parts) == (declared.buttons is not None)
    messages = [
        item.get("Inbound", {})
        for case in subject.cases("parse").values()
        for item in case.get("items", [])
    ]
    pressed = any("press" in message for message in messages)
    hears = subject.adapter_class.acknowledge_press is not Adapter.acknowledge_press
    assert pressed == hears, "a press is shown to be heard"
    opens = subject.adapter_class.open is not Adapter.open
    brought = any("attachments" in message for message in messages)
    assert brought == opens, "what is announced can be opened"
    assert bool(subject.cases("open")) == opens
