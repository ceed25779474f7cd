// Talks to the sandbox: what the visitor does goes out, the state of everything comes in.

import { $ } from "/static/dom.js";

/** Ask for something to be done. False if it was refused; the visitor is then told why. */
export function act(path, body = {}) {
  return post(path, { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** The same with a file beside the values. */
export function sendFile(path, file, values) {
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) form.set(name, value);
  form.set("file", file);
  return post(path, { body: form });
}

async function post(path, content) {
  let refusal = "The sandbox is not responding.";
  try {
    const answer = await fetch(`/api/${path}`, { method: "POST", ...content });
    const told = await answer.json();
    if (answer.ok) return told;
    refusal = told.error;
  } catch {
    // Said below.
  }
  complain(refusal);
  return false;
}

/** Call `show` with the state now, and with every later one. The browser reconnects by itself. */
export function follow(show) {
  const stream = new EventSource("/api/events");
  stream.onmessage = (event) => {
    $("link").hidden = true;
    show(JSON.parse(event.data));
  };
  stream.onerror = () => {
    $("link").hidden = false;
  };
}

let quiet;
function complain(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => ($("toast").hidden = true), 5000);
}
