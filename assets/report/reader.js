// The reader: a whole response, each token in the colour of its shift.

const reader = { set: -1, i: -1, q: 0, colour: "delta", swapped: false, at: -1, pinned: false, sample: null, spans: [] };
let opening = 0;

async function openReader(fields) {
  const view = document.getElementById("reader");
  const turn = opening += 1;
  const set = head.sets.findIndex((s) => s.task === fields.t && s.generation_model === fields.g && (!fields.p || s.models[0] === fields.p));
  if (set < 0) return missing(view, "These responses are not in the page.");
  const index = await indexOf(set);
  const i = index.id.indexOf(Number(fields.s));
  if (i < 0) return missing(view, `Sample ${fields.s} is not in this page, which has ${head.sets[set].samples} of ${head.sets[set].all} responses of its set; \`tokshift show\` and \`tokshift view\` have all.`);
  const [texts, place] = await textsWith(set, i);
  const [data, placeOfTokens] = await tokensWith(set, i);
  const vocabulary = await vocabularyOf(set);
  if (turn !== opening) return undefined;
  const isSame = reader.set === set && reader.i === i && reader.sample;
  reader.set = set;
  reader.i = i;
  reader.q = Math.max(0, placeOfQ(set, fields.q));
  reader.colour = MEASURES[fields.c] ? fields.c : "delta";
  reader.swapped = fields.x === "1";
  const response = texts.responses.at(place);
  reader.sample = { set, i, index, vocabulary, block: data, place: placeOfTokens, response, prompt: texts.prompts.at(texts.promptOf[place]) };
  reader.sample.texts = tokenTexts(reader.sample);
  if (!isSame) buildReader(view);
  else view.querySelector(".controls").replaceWith(readerControls());
  colourTokens();
  reader.pinned = fields.k !== undefined;
  move(fields.k !== undefined ? placeOfPosition(Number(fields.k)) : Math.max(0, index.shifts[reader.q].mostAt[i]), !isSame || reader.pinned);
  return undefined;
}

function missing(view, text) {
  reader.sample = null;
  view.replaceChildren(element("h1", {}, "Not here"), element("p", {}, text), element("p", {}, element("a", { href: "#samples" }, "All samples")));
}

const first = () => reader.sample.block.starts[reader.sample.place];
const count = () => reader.sample.block.starts[reader.sample.place + 1] - first();

/** The token at a position of the tables. */
function placeOfPosition(position) {
  const { block: data } = reader.sample;
  for (let i = 0; i < count(); i += 1) if (i + data.offsets[first() + i] === position) return i;
  return 0;
}
const positionOf = (i) => i + reader.sample.block.offsets[first() + i];

/** The text of each token. A character that tokens share stands with the one that completes it. */
function tokenTexts(sample) {
  const { block: data, place, response, vocabulary } = sample;
  const start = data.starts[place];
  const n = data.starts[place + 1] - start;
  const texts = [];
  if (data.texts) {
    for (let i = 0; i < n; i += 1) texts.push(data.texts.at(start + i));
    return texts;
  }
  const bytes = new TextEncoder().encode(response);
  const spans = spansOf(data, place);
  let from = 0;
  for (let i = 0; i < n; i += 1) {
    const end = Math.max(from, spans[i][1]);
    // The next token begins within a character: it has this one's bytes too.
    const whole = end < bytes.length && (bytes[end] & 0xc0) === 0x80 ? charBegin(bytes, end) : end;
    const to = Math.max(from, whole);
    const isEmpty = spans[i][0] === spans[i][1];
    texts.push(isEmpty && data.flags[start + i] & 1 ? endText(vocabulary, data.ids[start + i]) : utf8.decode(bytes.subarray(from, to)));
    from = to;
  }
  return texts;
}

function charBegin(bytes, at) {
  let begin = at;
  while (begin > 0 && (bytes[begin] & 0xc0) === 0x80) begin -= 1;
  return begin;
}

function readerControls() {
  const { models, exact } = head.sets[reader.set];
  const controls = element("div", { class: "controls" });
  const go = (more) => { location.hash = fragment({ ...here(), ...more }); };
  controls.append(select("Q", models.slice(1).map((name) => [name, name]), models[reader.q + 1], (q) => go({ q })));
  const measures = Object.entries(MEASURES).map(([key, { name }]) => [key, name, key === "kl" && !exact[reader.q]]);
  controls.append(select("Colour", measures, reader.colour, (c) => go({ c })));
  controls.append(element("button", { type: "button", "aria-pressed": String(reader.swapped), onclick: () => go({ x: reader.swapped ? undefined : "1" }) }, "swap models"));
  controls.append(element("button", { type: "button", onclick: () => jump(-1), title: "key: N or Shift+n" }, "↑ big shift"), element("button", { type: "button", onclick: () => jump(1), title: "key: n" }, "↓ big shift"));
  return controls;
}

/** The address of what is shown. */
function here(more) {
  const { models } = head.sets[reader.set];
  const { index } = reader.sample;
  return addressOf(reader.set, index.id[reader.i], {
    q: models[reader.q + 1], k: reader.pinned ? positionOf(reader.at) : undefined,
    c: reader.colour === "delta" ? undefined : reader.colour, x: reader.swapped ? "1" : undefined, ...more,
  });
}

function buildReader(view) {
  const { sample } = reader;
  const { index } = sample;
  const set = head.sets[reader.set];
  view.replaceChildren();
  const title = `Row ${index.row[reader.i]}${index.turn[reader.i] ? `, turn ${index.turn[reader.i]}` : ""} of ${setName(set)}`;
  view.append(element("p", { class: "crumbs" }, element("a", { href: "#samples" }, "← samples"), " ",
    element("button", { type: "button", class: "small", onclick: () => step(-1), title: "key: k" }, "previous"), " ",
    element("button", { type: "button", class: "small", onclick: () => step(1), title: "key: j" }, "next")));
  view.append(element("h1", {}, title));
  const facts = set.fields.map((name, field) => [name, index.fields[field].at(reader.i)]).filter(([, value]) => value);
  if (index.rowId.at(reader.i)) facts.unshift(["id", index.rowId.at(reader.i)]);
  if (index.cut[reader.i]) facts.push(["ended by", "a limit of tokens"]);
  if (facts.length) view.append(element("p", { class: "note" }, facts.map(([name, value]) => `${oneLine(name)}: ${oneLine(shortened(value))}`).join(" · ")));
  view.append(readerControls(), element("div", { id: "legend" }));
  const text = element("div", { id: "text", tabindex: 0, role: "group", dir: "auto", "aria-label": `Response, ${count()} tokens. Arrow keys move, n jumps to the next big shift, Enter pins.` });
  const fragmentOfTokens = document.createDocumentFragment();
  reader.spans = sample.texts.map((content, i) => {
    const span = document.createElement("span");
    span.dataset.i = i;
    if (content === "") span.className = "part";
    span.textContent = shortened(visible(content)).replaceAll("\n", "⏎\n");
    fragmentOfTokens.append(span);
    return span;
  });
  text.append(fragmentOfTokens);
  const prompt = element("details", { class: "prompt" }, element("summary", {}, `Prompt (${sample.prompt.length.toLocaleString("en")} characters)`), element("pre", { dir: "auto", tabindex: 0, "aria-label": "Prompt" }, shortened(visible(sample.prompt))));
  const map = element("canvas", { id: "map", width: 14, height: 400, role: "img", "aria-label": "Map of the shifts in the response" });
  const side = element("aside", { id: "panel", "aria-label": "Token" });
  view.append(element("div", { class: "reading" }, element("div", { class: "page" }, prompt, text), map, side));
  text.addEventListener("click", (event) => { const i = tokenOf(event); if (i >= 0) pin(i); });
  text.addEventListener("mouseover", (event) => { const i = tokenOf(event); if (i >= 0 && !reader.pinned) move(i, false); });
  map.addEventListener("click", (event) => {
    const share = event.offsetY / map.clientHeight;
    const i = Math.min(count() - 1, Math.max(0, reader.ends.findIndex((end) => end >= share * reader.ends.at(-1))));
    reader.spans[i].scrollIntoView({ block: "center" });
  });
  let sum = 0;
  reader.ends = sample.texts.map((content) => sum += content.length + 1);
}

function tokenOf(event) {
  const span = event.target.closest("[data-i]");
  return span ? Number(span.dataset.i) : -1;
}

/** Gives every token its colour, draws the legend and the map. */
function colourTokens() {
  const { block: data, texts } = reader.sample;
  const { q, colour, swapped } = reader;
  reader.values = Float64Array.from({ length: count() }, (_, i) => valueOf(colour, data, first() + i, q, swapped));
  reader.spans.forEach((span, i) => {
    const lists = [data.models[0], data.models[q + 1]];
    const tops = lists.map((scores) => scores.lists[first() + i + 1] > scores.lists[first() + i] ? scores.top[scores.lists[first() + i]] : 0);
    const differs = tops[0] && tops[1] && tops[0] !== tops[1] ? " top" : "";
    span.className = `${texts[i] === "" ? "part " : ""}${colourClass(colour, reader.values[i])}${differs}`;
  });
  document.getElementById("legend").replaceChildren(legend(colour), element("p", { class: "note keys" }, "Dotted corner: the two models' most likely tokens differ. Keys: ← → move · n / N next, previous big shift · Enter pin · j / k next, previous sample · Esc"));
  drawMap();
}

function drawMap() {
  const map = document.getElementById("map");
  if (!map) return;
  map.height = Math.max(100, innerHeight - 140);
  const context = map.getContext("2d");
  const total = reader.ends.at(-1) || 1;
  reader.values.forEach((value, i) => {
    const style = colourClass(reader.colour, value);
    if (!style) return;
    const from = (i ? reader.ends[i - 1] : 0) / total * map.height;
    context.fillStyle = palette[style];
    context.fillRect(0, from, map.width, Math.max(isBig(reader.colour, value) ? 3 : 1, (reader.ends[i] / total) * map.height - from));
  });
}

/** Shows a token in the panel, and scrolls to it if it is out of sight. */
function move(i, scroll) {
  if (!reader.sample || i < 0 || i >= count()) return;
  reader.spans[reader.at]?.classList.remove("at", "pinned");
  reader.at = i;
  const span = reader.spans[i];
  span.classList.add("at");
  if (reader.pinned) span.classList.add("pinned");
  drawPanel(document.getElementById("panel"), reader.sample, i, reader);
  if (scroll) {
    const { top, bottom } = span.getBoundingClientRect();
    if (top < 60 || bottom > innerHeight - (innerWidth < 800 ? innerHeight * 0.45 : 60)) span.scrollIntoView({ block: innerWidth < 800 ? "start" : "center" });
  }
}

function pin(i) {
  reader.pinned = true;
  move(i, true);
  note(here());
}

function unpin() {
  reader.pinned = false;
  move(reader.at, false);
  note(here());
}

/** Goes to the next or the previous big shift; after the last comes the first. */
function jump(by) {
  for (let steps = 1; steps <= count(); steps += 1) {
    const i = (reader.at + by * steps + count() * 2) % count();
    if (isBig(reader.colour, reader.values[i])) return pin(i);
  }
  document.getElementById("live").textContent = "no big shift";
  return undefined;
}

/** Opens the next or the previous sample of the list. */
async function step(by) {
  if (!list.entries.length) await openList({});
  const place = list.entries.findIndex((e) => e.set === reader.set && e.i === reader.i);
  const e = list.entries[place + by];
  if (e) location.hash = fragment(addressOf(e.set, list.indexes[e.set].id[e.i], { q: list.q, c: reader.colour === "delta" ? undefined : reader.colour }));
}

function readerKey(event) {
  if (!reader.sample || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const inText = event.target.id === "text";
  const actions = {
    n: () => jump(event.shiftKey ? -1 : 1), N: () => jump(-1), j: () => step(1), k: () => step(-1), Escape: unpin,
    ArrowRight: inText && (() => go(1)), ArrowLeft: inText && (() => go(-1)), Enter: inText && (() => pin(reader.at)),
  };
  const go = (by) => { move(reader.at + by, true); if (reader.pinned) note(here()); };
  const action = actions[event.key];
  if (action) { event.preventDefault(); action(); }
}
