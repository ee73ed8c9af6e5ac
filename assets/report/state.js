// The address of what is shown, elements, and numbers as text.

/** Fields of the fragment: view, g and t (set), p, q (models), s (sample), k (token), c (colour), x (swapped). */
function address() {
  const raw = location.hash.slice(1);
  const fields = {};
  for (const part of raw.split("&")) {
    const at = part.indexOf("=");
    if (at > 0) {
      try { fields[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1)); } catch { /* no name of ours */ }
    }
  }
  fields.view = "s" in fields ? "reader" : raw.startsWith("samples") ? "samples" : "overview";
  return fields;
}

function fragment(fields) {
  const parts = Object.entries(fields).filter(([name, value]) => name !== "view" && value !== undefined && value !== "");
  return `#${parts.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
}

/** Where a sample is, in the names that its set and models have. */
function addressOf(set, id, more) {
  const { generation_model: g, task: t, models } = head.sets[set];
  return { g, t, p: models[0], s: id, ...more };
}

/** Changes the address without a step in the history. */
function note(fields) {
  history.replaceState(null, "", fragment(fields));
}

/** An element with attributes, and children that are elements or texts: a text is never markup. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

function select(label, options, value, change) {
  const made = element("select", { onchange: () => change(made.value) });
  for (const [name, text, disabled] of options) made.append(element("option", { value: name, disabled }, text));
  made.value = value;
  return element("label", { class: "field" }, element("span", {}, label), made);
}

/** Marks that turn or hide writing, and control characters, as src/escape.rs has them; line ends and tabs stay. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\ufeff\u200b-\u200f\u2028-\u202e\u2066-\u2069]/gu;
const visible = (text) => text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
const oneLine = (text) => visible(text).replaceAll("\n", "⏎").replaceAll("\t", "⇥");

/** A token by itself: one of spaces alone is seen. */
const tokenName = (text) => /^ +$/.test(text) ? text.replaceAll(" ", "␣") : oneLine(text);

const LONGEST = 2000;
const shortened = (text) => text.length > LONGEST ? `${text.slice(0, LONGEST)}… ${(text.length - LONGEST).toLocaleString("en")} more characters` : text;

const MINUS = "\u2212";
function fixed(number, places) {
  if (Number.isNaN(number)) return "–";
  if (number === -Infinity) return `${MINUS}∞`;
  return number.toFixed(places).replace("-", MINUS);
}
const signed = (number, places) => (number > 0 ? "+" : "") + fixed(number, places);
function percent(p) {
  if (Number.isNaN(p)) return "–";
  if (p === 0) return "0%";
  const value = 100 * p;
  return `${value >= 9.95 ? value.toFixed(1) : value >= 0.01 ? value.toPrecision(2) : value.toExponential(1)}%`;
}
