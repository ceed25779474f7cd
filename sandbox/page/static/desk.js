// The agent's side: the list of conversations, and the open one.

import { act, sendFile } from "/static/api.js";
import { CHANNELS } from "/static/devices.js";
import { $, attachable, clock, el, filesOf, icon, initials, renew, writable } from "/static/dom.js";
import { fromMarkdown, QUOTED } from "/static/styled.js";

const TICKS = { sent: ["✓", "Sent"], delivered: ["✓✓", "Delivered"], read: ["✓✓", "Read"], failed: ["!", "Failed"] };

const HINTS = {
  reply: "Write a reply. Enter sends it; **bold** works",
  note: "Write a note that only agents see",
  choices: "Write a question, then each choice on its own line (Shift+Enter)",
};

export class Desk {
  constructor(chosen) {
    this.chosen = chosen; // called when the visitor opens a conversation
    this.open = undefined;
    this.looked = {};
    this.drafts = {};
    $("resolve").addEventListener("click", () =>
      act(`conversations/${this.open}/status`, { status: this.conversation.status === "resolved" ? "open" : "resolved" }));
    for (const mode of document.getElementsByName("mode")) {
      mode.addEventListener("change", () => {
        this.showMode();
        $("desk-text").focus();
      });
    }
    writable($("desk-form"), $("desk-text"), (text) => (this.mode === "choices" ?
      act(`conversations/${this.open}/choices`, { text }) :
      act(`conversations/${this.open}/messages`, { text, private: this.noting })));
    attachable($("desk-file"), $("desk-text"), (file, text) =>
      sendFile(`conversations/${this.open}/files`, file, { text, private: this.noting }));
    this.showMode();
  }

  get conversation() {
    return this.state.conversations.find((each) => each.id === this.open);
  }

  get mode() {
    return document.querySelector("input[name=mode]:checked").value;
  }

  get noting() {
    return this.mode === "note";
  }

  /** Open the newest conversation of a customer; close the open one if the customer has none. */
  turnTo(channel, customer) {
    const found = this.state.conversations.find((each) => each.channel === channel && each.customer === customer);
    this.openUp(found?.id);
  }

  openUp(id) {
    if (this.open !== undefined) this.drafts[this.open] = $("desk-text").value;
    $("desk-text").value = this.drafts[id] ?? "";
    this.open = id;
    this.show(this.state);
  }

  show(state) {
    this.state = state;
    $("agent").textContent = state.agent;
    $("no-conversations").hidden = state.conversations.length > 0;
    const items = state.conversations.map((each) => ({ ...each, current: each.id === this.open }));
    renew($("conversations"), "all", items, (each) => each.id, (each) => this.item(each));
    const open = this.conversation;
    $("conversation").hidden = !open;
    $("placeholder").hidden = Boolean(open);
    if (open) this.showConversation(open);
  }

  showConversation(open) {
    $("head-avatar").textContent = initials(open.name);
    $("head-name").textContent = open.name;
    $("head-detail").textContent =
      `${CHANNELS[open.channel]?.label ?? "Inbox"} · ${open.subject || open.customer} · #${open.id}`;
    const resolved = open.status === "resolved";
    $("resolve").textContent = resolved ? "Reopen" : "Resolve";
    $("conversation").dataset.status = open.status;
    renew($("desk-talk"), String(open.id), open.messages, (message) => message.id, (message) => this.message(message));
    if (open.unread && this.looked[open.id] !== open.messages.at(-1).id) {
      this.looked[open.id] = open.messages.at(-1).id;
      act(`conversations/${open.id}/seen`);
    }
  }

  showMode() {
    $("desk-form").classList.toggle("noting", this.noting);
    $("desk-text").placeholder = HINTS[this.mode];
  }

  item(each) {
    const last = each.messages.findLast((message) => message.kind !== "activity");
    const mine = last && last.kind !== "incoming";
    const line = last ? (last.deleted ? "Deleted" : last.text.replace(QUOTED, "").replace(/\s+/g, " ").trim() || (last.files[0]?.name ?? "")) : "";
    return el("li", {},
      el("button", { type: "button", class: `item ${each.status}`, "data-testid": "conversation", "data-channel": each.channel,
        "aria-current": each.current ? "true" : undefined,
        onclick: () => {
          this.openUp(each.id);
          this.chosen(each.channel, each.customer);
        } },
        el("span", { class: "avatar", "data-channel": each.channel }, initials(each.name), el("span", { class: "of" }, icon(each.channel || "inbox"))),
        el("span", { class: "grow" },
          el("span", { class: "line" }, el("strong", { text: each.name }), el("time", { text: clock(each.at) })),
          el("span", { class: "line" },
            el("span", { class: "preview", text: (mine ? "↩ " : "") + line }),
            each.unread ? el("span", { class: "count", text: each.unread, "aria-label": `${each.unread} unread` }) :
              each.status === "resolved" ? el("span", { class: "state", text: "resolved" }) : undefined))));
  }

  message(message) {
    if (message.kind === "activity") return el("div", { class: "activity", text: message.text });
    const mine = message.kind !== "incoming";
    const failed = mine && !message.private && message.status === "failed";
    const kind = message.private ? "note" : mine ? "mine" : "theirs";
    return el("div", { class: `message ${kind}${failed ? " failed" : ""}`, "data-testid": "desk-message", "data-status": message.status },
      el("div", { class: "bubble" },
        message.private ? el("div", { class: "label", text: `Private note${message.sender ? ` · ${message.sender}` : ""}` }) : undefined,
        message.quoted ? el("div", { class: "quoted", "data-testid": "quoted" }, ...fromMarkdown(message.quoted)) : undefined,
        ...filesOf(message),
        el("div", { class: message.deleted ? "text gone" : "text" }, ...fromMarkdown(message.text)),
        message.choices.length ? el("ul", { class: "choices" }, ...message.choices.map((text) => el("li", { text }))) : undefined,
        el("span", { class: "meta" }, clock(message.at), mine && !message.private ? this.tick(message) : undefined)),
      mine && !message.deleted ? el("button", { type: "button", class: "delete", title: "Delete", "aria-label": "Delete this message",
        onclick: () => act(`messages/${message.id}/delete`) }, icon("trash")) : undefined,
      failed ? el("p", { class: "reason", "data-testid": "reason" }, message.error || "Not delivered.", " ",
        el("button", { type: "button", class: "retry", text: "Retry", "data-testid": "retry", onclick: () => act(`messages/${message.id}/retry`) })) : undefined);
  }

  tick(message) {
    const [sign, meaning] = TICKS[message.status];
    return el("span", { class: `tick ${message.status}`, text: sign, title: meaning, role: "img", "aria-label": meaning });
  }
}
