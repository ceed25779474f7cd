// Beginning a conversation: whom, over which channel, and the first words.

import { act } from "/static/api.js";
import { CHANNELS } from "/static/devices.js";
import { $, el, writable } from "/static/dom.js";

export class Beginning {
  constructor(begun) {
    this.begun = begun; // called with the number of the conversation, its channel and its customer
    $("begin").addEventListener("click", () => this.open($("begin-form").hidden));
    $("begin-channel").replaceChildren(
      ...Object.entries(CHANNELS).map(([name, { label }]) => el("option", { value: name, text: label })));
    $("begin-channel").addEventListener("change", () => this.show(this.state));
    $("begin-form").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.open(false);
    });
    writable($("begin-form"), $("begin-text"), (text) => this.send(text));
  }

  open(wanted) {
    $("begin-form").hidden = !wanted;
    $("begin").setAttribute("aria-expanded", wanted);
    (wanted ? $("begin-customer") : $("begin")).focus();
  }

  async send(text) {
    const channel = $("begin-channel").value;
    const customer = $("begin-customer").value;
    const told = await act("conversations", { channel, customer, text });
    if (!told) return false;
    this.open(false);
    this.begun(told.id, channel, customer);
    return true;
  }

  show(state) {
    this.state = state;
    const { customers } = state.channels[$("begin-channel").value];
    const shown = [...$("begin-customer").options].map((option) => option.value);
    if (customers.map((each) => each.id).join("\n") === shown.join("\n")) return;
    const chosen = $("begin-customer").value;
    $("begin-customer").replaceChildren(
      ...customers.map((each) => el("option", { value: each.id, text: each.name, selected: each.id === chosen })));
  }
}
