// The strip at the foot: what lives, what waits, and switches that make trouble.

import { act } from "/static/api.js";
import { $, el, renew } from "/static/dom.js";

$("kill").addEventListener("click", () => act("processes/worker/kill"));

export function showStatusBar({ gateway, troubles }) {
  renew($("roles"), "roles", Object.entries(gateway.roles), ([role]) => role, ([role, up]) =>
    el("li", { class: up ? "up" : "down", "data-testid": `role-${role}`, title: up ? "is running" : "is down; the supervisor is restarting it" },
      el("span", { class: "dot", "aria-hidden": "true" }), role, el("span", { class: "unseen", text: up ? " is running" : " is down" })));
  const lines = gateway.waiting.map((each) => `${each.what}: ${each.seconds} s`);
  const closed = gateway.gates.map((each) => `${each.name}: ${each.reason}`);
  const text = lines.length ? `Waiting to be delivered: ${lines.join(" · ")}` : "Nothing is waiting.";
  $("waiting").textContent = text;
  $("waiting").title = [text, ...closed].join("\n");
  $("waiting").classList.toggle("busy", lines.length > 0);
  renew($("troubles"), "troubles", troubles, (each) => each.name, (each) =>
    el("label", { class: "switch", title: each.effect },
      el("input", { type: "checkbox", "data-testid": `trouble-${each.name}`, ...(each.on ? { checked: true } : {}),
        onchange: (event) => act(`troubles/${each.name}`, { on: event.target.checked }) }),
      el("span", { class: "track", "aria-hidden": "true" }), el("span", { text: each.label })));
}
