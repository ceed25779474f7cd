// Small words for making and renewing elements. Text is only ever set as text.

export const $ = (id) => document.getElementById(id);

/** An element with properties (`class`, `text`, `on…`, attributes) and children. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child));
  return element;
}

/** One of the pictures in icons.svg. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/**
 * Make the children of `list` those of `items`, touching only what has changed: what is new slides
 * in, what the visitor reads or points at stays where it is. `subject` says whose list it is; a
 * list that changes hands is shown at once, without any sliding. A talk stays at its end.
 */
export function renew(list, subject, items, key, make) {
  const same = list.dataset.subject === subject;
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.dataset.subject = subject;
  const old = new Map(same ? [...list.children].map((child) => [child.dataset.key, child]) : []);
  const children = items.map((item) => {
    const name = String(key(item));
    const content = JSON.stringify(item);
    const known = old.get(name);
    if (known && known.content === content) return known;
    const child = make(item);
    child.dataset.key = name;
    child.content = content;
    if (same && !known) child.classList.add("arrives");
    return child;
  });
  const unchanged =
    same && children.length === list.children.length && children.every((c, i) => c === list.children[i]);
  if (unchanged) return;
  list.replaceChildren(...children);
  if (list.classList.contains("talk") && (!same || atEnd)) list.scrollTop = list.scrollHeight;
}

export const clock = (seconds) =>
  new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export const initials = (name) =>
  (/^\+?\d/.test(name) ? name.slice(-2) : name.split(/\s+/).map((word) => word[0]).join("").slice(0, 2)).toUpperCase();

/** Enter sends, Shift+Enter begins a new line; the field grows with its text. */
export function writable(form, field, send) {
  const fit = () => {
    field.rows = Math.min(6, field.value.split("\n").length + Math.floor(field.value.length / 60));
  };
  field.addEventListener("input", fit);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    fit();
    if (!(await send(text)) && !field.value) field.value = text;
  });
}

/** A file that is chosen is sent at once, with what is written in the field. */
export function attachable(input, field, send) {
  input.addEventListener("change", async () => {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    const text = field.value.trim();
    field.value = "";
    if (!(await send(file, text)) && !field.value) field.value = text;
  });
}

/** The files of a message: pictures as such, others as links. */
export function filesOf(message) {
  return (message.files ?? []).map((file) =>
    el("a", { class: file.picture ? "picture" : "file", href: file.url, target: "_blank", rel: "noopener", "data-testid": "file" },
      file.picture ? el("img", { src: file.url, alt: file.name, onload: stayAtEnd }) : icon("clip"),
      file.picture ? undefined : el("span", { text: file.name })));
}

/** A picture is as tall as it is only when it has come: a talk that was at its end goes on there. */
function stayAtEnd({ target }) {
  const talk = target.closest(".talk");
  if (talk && talk.scrollHeight - talk.scrollTop - talk.clientHeight < target.height + 60) talk.scrollTop = talk.scrollHeight;
}
