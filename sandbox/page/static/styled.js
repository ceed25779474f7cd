// Styled text as elements: Telegram's entities, and the little Markdown that agents write.

import { el } from "/static/dom.js";

const TAGS = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "code",
  blockquote: "q", text_link: "u", url: "u",
};

/** Telegram counts UTF-16 units, as this language does. */
export function fromEntities(text, entities) {
  const known = entities.filter((entity) => TAGS[entity.type]);
  const cuts = new Set([0, text.length]);
  for (const { offset, length } of known) cuts.add(offset).add(offset + length);
  const edges = [...cuts].sort((a, b) => a - b);
  return edges.slice(0, -1).map((from, i) => {
    let node = document.createTextNode(text.slice(from, edges[i + 1]));
    for (const { type, offset, length } of known) {
      if (offset <= from && offset + length >= edges[i + 1]) node = el(TAGS[type], {}, node);
    }
    return node;
  });
}

const MARKS = /\\([!-/:-@[-`{-~])|\*\*([^*\n]+)\*\*|~~([^~\n]+)~~|`([^`\n]+)`|(?<![\w*])\*([^*\s][^*\n]*)\*(?![\w*])|(?<!\w)_([^_\s][^_\n]*)_(?!\w)/g;
const MARK_TAGS = [undefined, "strong", "s", "code", "em", "em"];
export const QUOTED = /^> (.+)(?:\n\n|$)/;

export function fromMarkdown(text) {
  const quoted = text.match(QUOTED);
  if (!quoted) return fromMarks(text);
  const rest = text.slice(quoted[0].length);
  return [el("span", { class: "quoted", "data-testid": "quoted" }, ...fromMarks(quoted[1])), ...fromMarks(rest)];
}

function fromMarks(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(MARKS)) {
    const which = match.slice(1).findIndex((group) => group !== undefined);
    const tag = MARK_TAGS[which];
    nodes.push(text.slice(end, match.index), tag ? el(tag, { text: match[which + 1] }) : match[which + 1]);
    end = match.index + match[0].length;
  }
  return [...nodes, text.slice(end)];
}
