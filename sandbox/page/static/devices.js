// The customer's side: one device at a time, chosen by channel and by customer.

import { act, sendFile } from "/static/api.js";
import { $, attachable, clock, el, filesOf, icon, renew, writable } from "/static/dom.js";
import { fromEntities } from "/static/styled.js";

export const CHANNELS = {
  telegram: { label: "Telegram", hint: "Message", refuse: "Block the bot", opener: ["Hi! Do you deliver on Sundays?", "Where is my order 1042?"] },
  sms: { label: "SMS", hint: "Text message", refuse: "Phone off", opener: ["Is my repair ready?", "What are your opening hours?"] },
  email: { label: "E-mail", hint: "Write a mail", refuse: "Mailbox full", opener: ["Hello, my invoice shows the wrong address. Could you send a new one?"] },
};

export class Devices {
  constructor(chosen) {
    this.chosen = chosen; // called when the visitor turns to another customer
    this.channel = "telegram";
    this.customers = {};
    this.seen = {};
    $("tabs").replaceChildren(...Object.keys(CHANNELS).map((name) => this.tab(name)));
    $("who").addEventListener("change", () => this.turnTo(this.channel, $("who").value, true));
    $("newcomer").addEventListener("click", () => this.welcome());
    $("unreachable").addEventListener("change", () =>
      act(`${this.path()}/unreachable`, { on: $("unreachable").checked }));
    $("unanswer").addEventListener("click", () => this.answer(undefined));
    $("fresh").addEventListener("change", () => this.show(this.state));
    writable($("device-form"), $("device-text"), (text) => this.write(text));
    attachable($("device-file"), $("device-text"), (file, text) => this.write(text, file));
  }

  get customer() {
    const all = this.state.channels[this.channel].customers;
    return all.find((each) => each.id === this.customers[this.channel]) ?? all[0];
  }

  path() {
    return `customers/${this.channel}/${encodeURIComponent(this.customer.id)}`;
  }

  turnTo(channel, customer, byHand) {
    this.channel = channel;
    if (customer) this.customers[channel] = customer;
    $("fresh").checked = false;
    this.answer(undefined);
    this.show(this.state);
    if (byHand) this.chosen(channel, this.customer.id);
  }

  async welcome() {
    const channel = this.channel;
    const told = await act(`customers/${channel}`);
    if (!told) return;
    this.customers[channel] = told.id;
    this.turnTo(channel, told.id, true);
    $("device-text").focus();
  }

  async write(text, file) {
    const subject = $("subject").hidden ? "" : $("subject").value.trim() || "A question";
    const quoted = this.answered?.id ?? "";
    const done = await (file ? sendFile(`${this.path()}/files`, file, { text, subject, quoted }) :
      act(`${this.path()}/messages`, { text, subject, quoted }));
    if (done) {
      this.answer(undefined);
      $("subject").value = "";
      $("fresh").checked = false;
      this.show(this.state);
    }
    return done;
  }

  show(state) {
    this.state = state;
    const device = state.channels[this.channel];
    const words = CHANNELS[this.channel];
    document.body.dataset.channel = this.channel;
    this.showTabs();
    this.showCustomers(device.customers);
    $("device-address").textContent = device.address;
    $("unreachable").checked = this.customer.unreachable;
    $("unreachable-label").textContent = words.refuse;
    $("device-text").placeholder = words.hint;
    this.showWriting();
    renew($("device-talk"), `${this.channel} ${this.customer.id}`, this.customer.messages,
      (message) => message.id, (message) => this.answerable(message, this.message(message)));
  }

  /** What is written next answers `message`. */
  answer(message) {
    this.answered = message;
    $("answering").hidden = !message;
    $("answered").textContent = message ? message.text || "A file" : "";
    if (message) $("device-text").focus();
  }

  /** On Telegram a certain message can be answered. */
  answerable(message, shown) {
    if (this.channel === "telegram") {
      shown.append(el("button", { type: "button", class: "answer", title: "Answer", "aria-label": "Answer this message",
        "data-testid": "answer", onclick: () => this.answer(message) }, icon("reply")));
    }
    return shown;
  }

  showTabs() {
    for (const [name, { customers }] of Object.entries(this.state.channels)) {
      const got = customers.flatMap((each) => each.messages).filter((message) => !message.mine).length;
      if (name === this.channel || this.seen[name] === undefined) this.seen[name] = got;
      const tab = $(`tab-${name}`);
      tab.setAttribute("aria-selected", name === this.channel);
      const count = got - this.seen[name];
      tab.querySelector(".count").textContent = count > 0 ? count : "";
    }
  }

  showCustomers(customers) {
    const options = customers.map((each) => `${each.name} · ${each.id}`);
    const shown = [...$("who").options].map((option) => option.textContent);
    if (options.join("\n") !== shown.join("\n")) {
      $("who").replaceChildren(...customers.map((each, i) => el("option", { value: each.id, text: options[i] })));
    }
    $("who").value = this.customer.id;
  }

  showWriting() {
    const { messages } = this.customer;
    const mail = this.channel === "email";
    const answering = mail && messages.some((message) => !message.mine);
    $("thread").hidden = !answering;
    $("subject").hidden = !mail || (answering && !$("fresh").checked);
    renew($("chips"), this.channel, messages.length ? [] : CHANNELS[this.channel].opener, (text) => text,
      (text) => el("button", { type: "button", class: "chip", text, onclick: () => this.write(text) }));
  }

  tab(name) {
    return el("button", { type: "button", role: "tab", id: `tab-${name}`, "data-channel": name, "data-testid": `tab-${name}`,
      onclick: () => this.turnTo(name, undefined, true) },
      icon(name), el("span", { text: CHANNELS[name].label }), el("span", { class: "count" }));
  }

  message(message) {
    const head = message.subject === undefined ? undefined :
      el("div", { class: "mail-head" },
        el("strong", { text: message.subject || "(no subject)" }),
        el("small", { text: message.mine ? "You" : message.from.replace(/<.*>/, "").replaceAll('"', "") || message.from }));
    return el("div", { class: `message ${message.mine ? "mine" : "theirs"}`, "data-testid": "device-message" },
      el("div", { class: "bubble" },
        head,
        message.quoted ? el("div", { class: "quoted", text: message.quoted }) : undefined,
        ...filesOf(message),
        el("div", { class: "text" }, ...fromEntities(message.text, message.entities ?? [])),
        el("span", { class: "meta", text: `${message.edited ? "edited " : ""}${clock(message.at)}` })),
      message.buttons?.length ? el("div", { class: "buttons" }, ...message.buttons.map((each) => this.button(message, each))) : undefined);
  }

  button(message, { label, turns }) {
    return el("button", { type: "button", class: turns ? "turns" : undefined, text: label, "aria-busy": turns ? "true" : undefined,
      "data-testid": "device-button", onclick: () => act(`${this.path()}/presses`, { message: Number(message.id), label }) });
  }
}
