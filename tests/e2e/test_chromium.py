"""The sandbox's page in a real browser, played by one visitor who is both sides."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, expect, sync_playwright

from tests.e2e.sandbox_process import SandboxProcess

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.system("chromium")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    running = SandboxProcess(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(path for name in PROGRAMS if (path := shutil.which(name)))
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, sandbox: SandboxProcess) -> Iterator[Page]:
    """The open page; the test fails if it complained of anything."""
    complaints: list[str] = []
    visited = browser.new_page(viewport={"width": 1280, "height": 800})
    visited.set_default_timeout(20_000)

    def note(said: ConsoleMessage) -> None:
        if said.type == "error":
            complaints.append(said.text)

    visited.on("pageerror", lambda error: complaints.append(str(error)))
    visited.on("console", note)
    visited.goto(sandbox.url)
    expect(visited.get_by_test_id("role-worker")).to_be_visible()
    yield visited
    visited.close()
    assert not complaints


@pytest.mark.parametrize("channel", ["telegram", "sms", "email"])
def test_the_customer_writes_and_the_agent_answers(page: Page, channel: str) -> None:
    page.get_by_test_id(f"tab-{channel}").click()
    if channel == "email":
        page.get_by_test_id("customer-subject").fill("Browser")
    page.get_by_test_id("customer-text").fill(f"Asked over {channel}")
    page.get_by_test_id("customer-text").press("Enter")
    item = page.get_by_test_id("conversation").filter(has_text=f"Asked over {channel}")
    expect(item).to_have_attribute("data-channel", channel, timeout=20_000)
    item.click()
    asked = page.get_by_test_id("desk-message").filter(has_text=f"Asked over {channel}")
    expect(asked).to_be_visible()
    page.get_by_test_id("agent-text").fill(f"Answered over {channel}")
    page.get_by_test_id("agent-send").click()
    answer = page.get_by_test_id("device-message").filter(has_text=f"Answered over {channel}")
    expect(answer).to_be_visible(timeout=20_000)


PICTURE = Path(__file__).parents[1] / "adapters" / "cases" / "files" / "cat.png"


@pytest.mark.parametrize("channel", ["telegram", "email"])
def test_pictures_and_files_go_both_ways(page: Page, channel: str) -> None:
    page.get_by_test_id(f"tab-{channel}").click()
    page.get_by_test_id("customer-text").fill(f"My cat over {channel}")
    page.get_by_test_id("customer-file").set_input_files(PICTURE)
    page.get_by_test_id("conversation").filter(has_text=f"My cat over {channel}").click()
    asked = page.get_by_test_id("desk-message").filter(has_text=f"My cat over {channel}")
    picture = asked.get_by_test_id("file").locator("img")
    expect(picture).to_be_visible(timeout=20_000)
    expect(picture).to_have_js_property("naturalWidth", 8)
    page.get_by_test_id("agent-text").fill("Nice, here is the bill")
    bill = FilePayload(name="bill.pdf", mimeType="application/pdf", buffer=b"%PDF bill")
    page.get_by_test_id("agent-file").set_input_files(bill)
    got = page.get_by_test_id("device-message").filter(has_text="here is the bill")
    expect(got.get_by_test_id("file")).to_have_text("bill.pdf", timeout=20_000)
    with page.expect_download() as download:
        got.get_by_test_id("file").click()
    assert download.value.path().read_bytes() == b"%PDF bill"


def test_an_agent_offers_choices_and_the_customer_presses_one(page: Page) -> None:
    page.get_by_test_id("tab-telegram").click()
    page.get_by_test_id("new-customer").click()
    page.get_by_test_id("customer-text").fill("Which doors are there?")
    page.get_by_test_id("customer-text").press("Enter")
    page.get_by_test_id("conversation").filter(has_text="Which doors are there?").click()
    page.locator("label").filter(has_text="Choices").click()
    page.get_by_test_id("agent-text").fill("These:\nFront\nBack")
    page.get_by_test_id("agent-text").press("Enter")
    buttons = page.get_by_test_id("device-button")
    expect(buttons).to_have_text(["Front", "Back"], timeout=20_000)
    buttons.last.click()
    expect(buttons).to_have_text(["✓ Back"], timeout=20_000)
    answer = page.get_by_test_id("desk-message").last
    expect(answer.get_by_test_id("quoted")).to_have_text("These:", timeout=20_000)
    expect(answer).to_contain_text("Back")


def test_what_a_customer_writes_is_shown_and_never_run(page: Page) -> None:
    evil = "<img src=x onerror=\"document.title='caught'\"> **bold**"
    page.get_by_test_id("tab-telegram").click()
    page.get_by_test_id("customer-text").fill(evil)
    page.get_by_test_id("customer-text").press("Enter")
    shown = page.get_by_test_id("desk-message").filter(has_text="onerror")
    expect(shown).to_be_visible(timeout=20_000)
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "Channel gateway · sandbox"


def test_a_failure_is_red_with_its_reason(page: Page) -> None:
    page.get_by_test_id("tab-telegram").click()
    page.get_by_test_id("new-customer").click()
    page.get_by_test_id("customer-text").fill("I am new and shy")
    page.get_by_test_id("customer-send").click()
    page.get_by_test_id("conversation").filter(has_text="new and shy").click()
    page.locator("label").filter(has_text="Block the bot").click()
    page.get_by_test_id("agent-text").fill("Are you there?")
    page.get_by_test_id("agent-text").press("Enter")
    expect(page.get_by_test_id("reason")).to_contain_text("blocked the bot", timeout=20_000)
    page.locator("label").filter(has_text="Block the bot").click()
    page.get_by_test_id("retry").click()
    answer = page.get_by_test_id("device-message").filter(has_text="Are you there?")
    expect(answer).to_be_visible(timeout=20_000)


def test_the_agent_writes_first_and_the_answer_lands_there(page: Page) -> None:
    page.get_by_test_id("tab-sms").click()
    customers = page.get_by_test_id("customer-select").locator("option")
    known = customers.count()
    page.get_by_test_id("new-customer").click()
    expect(customers).to_have_count(known + 1)
    name, _, number = customers.last.inner_text().partition(" · ")
    page.get_by_test_id("tab-telegram").click()
    page.get_by_test_id("begin").click()
    page.get_by_test_id("begin-channel").select_option("sms")
    page.get_by_test_id("begin-customer").select_option(number)
    page.get_by_test_id("begin-text").fill("Your parcel is here")
    page.get_by_test_id("begin-send").click()
    expect(page.get_by_test_id("begin-text")).to_be_hidden()
    expect(page.get_by_test_id("conversation-name")).to_have_text(name)
    got = page.get_by_test_id("device-message").filter(has_text="Your parcel is here")
    expect(got).to_be_visible(timeout=20_000)
    page.get_by_test_id("customer-text").fill("I will fetch it")
    page.get_by_test_id("customer-text").press("Enter")
    answer = page.get_by_test_id("desk-message").filter(has_text="I will fetch it")
    expect(answer).to_be_visible(timeout=20_000)


def test_a_customer_answers_a_certain_message(page: Page) -> None:
    page.get_by_test_id("tab-telegram").click()
    page.get_by_test_id("new-customer").click()
    page.get_by_test_id("customer-text").fill("Do you *ship* to Norway?")
    page.get_by_test_id("customer-send").click()
    page.get_by_test_id("conversation").filter(has_text="ship").first.click()
    page.get_by_test_id("agent-text").fill("Yes, we do")
    page.get_by_test_id("agent-text").press("Enter")
    answer = page.get_by_test_id("device-message").filter(has_text="Yes, we do").first
    for quoted in ("quoted", "in words"):
        answer.hover(timeout=20_000)
        answer.get_by_test_id("answer").click()
        expect(page.get_by_test_id("answering")).to_contain_text("Yes, we do")
        page.get_by_test_id("customer-text").fill(f"For how much? ({quoted})")
        page.get_by_test_id("customer-send").click()
        expect(page.get_by_test_id("answering")).to_be_hidden()
        item = page.get_by_test_id("conversation").filter(has_text=f"({quoted})")
        item.click(timeout=20_000)
        shown = page.get_by_test_id("desk-message").filter(has_text=f"({quoted})")
        expect(shown.get_by_test_id("quoted")).to_have_text("Yes, we do", timeout=20_000)
        if quoted == "quoted":
            page.get_by_test_id("resolve").click()
            expect(page.get_by_test_id("resolve")).to_have_text("Reopen")


def test_a_note_is_yellow_and_a_conversation_can_be_resolved(page: Page) -> None:
    page.get_by_test_id("tab-sms").click()
    page.get_by_test_id("customer-text").fill("Solve me")
    page.get_by_test_id("customer-text").press("Enter")
    page.get_by_test_id("conversation").filter(has_text="Solve me").click()
    page.locator("label").filter(has_text="Private note").click()
    page.get_by_test_id("agent-text").fill("Only for us")
    page.get_by_test_id("agent-text").press("Enter")
    note = page.get_by_test_id("desk-message").filter(has_text="Only for us")
    expect(note).to_contain_class("note")
    page.get_by_test_id("resolve").click()
    expect(page.get_by_test_id("resolve")).to_have_text("Reopen")
    assert page.get_by_test_id("device-message").filter(has_text="Only for us").count() == 0
