// The list of samples: sorted, filtered, and only the rows in sight in the document.

const ROW_HEIGHT = 58;
const SPARE_ROWS = 6;

const COLUMNS = [
  { key: "row", name: "Row", value: (e, index) => index.row[e.i] },
  { key: "text", name: "Prompt … response" },
  { key: "tokens", name: "Tokens", value: (e, index) => index.tokens[e.i] },
  { key: "sum", name: "Σ Δ log p", title: "nats per response, by size", value: (e, index, s) => Math.abs(s.delta[e.i]), text: (e, s) => signed(s.delta[e.i], 2) },
  { key: "kl", name: "KL", title: "nats per token", value: (e, index, s) => s.kl[e.i] / s.tokens[e.i], text: (e, s) => fixed(s.kl[e.i] / s.tokens[e.i], 4) },
  { key: "most", name: "Largest Δ", title: "of one token, nats", value: (e, index, s) => Math.abs(s.most[e.i]), text: (e, s) => signed(s.most[e.i], 2) },
  { key: "shifted", name: "Shifted", title: "share of tokens", value: (e, index, s) => s.shifted[e.i] / s.classed[e.i], text: (e, s) => s.classed[e.i] ? percent(s.shifted[e.i] / s.classed[e.i]) : "–" },
  { key: "strip", name: "Where" },
];

const list = { set: "", q: "", sort: "sum", descending: true, text: "", field: "", value: "", entries: [], indexes: [], found: null };

const setName = (set) => `${set.task} by ${set.generation_model}`;

/** Every model that is a Q somewhere. */
function allQs() {
  return [...new Set(head.sets.flatMap((set) => set.models.slice(1)))];
}

/** The place of a Q among a set's Qs; -1 if it is none. */
const placeOfQ = (set, name) => head.sets[set].models.indexOf(name, 1) - 1;

async function openList(fields) {
  const view = document.getElementById("samples");
  list.indexes = await Promise.all(head.sets.map((_, set) => indexOf(set)));
  const chosen = head.sets.findIndex((set) => set.task === fields.t && set.generation_model === fields.g);
  if (chosen >= 0) list.set = String(chosen);
  if (fields.q) list.q = fields.q;
  if (!allQs().includes(list.q)) list.q = allQs()[0];
  if (!view.firstChild || chosen >= 0) {
    view.replaceChildren();
    buildList(view);
  }
  refresh();
}

addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
addEventListener("resize", () => requestAnimationFrame(drawRows));

function buildList(view) {
  const total = head.sets.reduce((n, set) => [n[0] + set.samples, n[1] + set.all], [0, 0]);
  const controls = element("div", { class: "controls" });
  const sets = [["", "all"], ...head.sets.map((set, i) => [String(i), setName(set)])];
  controls.append(select("Responses", sets, list.set, (value) => { list.set = value; list.field = ""; buildFields(); refresh(); }));
  controls.append(select("Q", allQs().map((q) => [q, q]), list.q, (value) => { list.q = value; refresh(); }));
  const search = element("input", { type: "search", id: "search", value: list.text, placeholder: "in prompts and responses", autocomplete: "off", spellcheck: "false" });
  let timer;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => { list.text = search.value; findTexts(); }, 200); });
  controls.append(element("label", { class: "field" }, element("span", {}, "Search"), search));
  controls.append(element("div", { id: "fields", class: "controls" }));
  view.append(element("h1", {}, "Samples"));
  if (total[0] < total[1]) {
    view.append(element("p", { class: "note" }, `${total[0]} of ${total[1]} responses are in this page: those that moved most, and others by a hash of their names.`));
  }
  view.append(controls, element("p", { id: "count", role: "status" }));
  const grid = element("div", { id: "grid", role: "grid", "aria-label": "Samples", "aria-colcount": COLUMNS.length });
  const header = element("div", { role: "row", class: "line header", "aria-rowindex": 1 });
  for (const column of COLUMNS) {
    const cell = element("div", { role: "columnheader", class: `cell ${column.key}`, "data-key": column.key });
    if (column.value) cell.append(element("button", { type: "button", title: column.title, onclick: () => sortBy(column.key) }, column.name));
    else cell.append(column.name);
    header.append(cell);
  }
  const body = element("div", { id: "rows", role: "rowgroup" });
  grid.append(header, body);
  view.append(grid);
  buildFields();
}

/** Choices of a kept field and its value, if the sets have any. */
function buildFields() {
  const place = document.getElementById("fields");
  const sets = list.set === "" ? head.sets : [head.sets[Number(list.set)]];
  const names = [...new Set(sets.flatMap((set) => set.fields))];
  place.replaceChildren();
  if (!names.length) return;
  place.append(select("Field", [["", "any"], ...names.map((name) => [name, name])], list.field, (value) => { list.field = value; list.value = ""; buildFields(); refresh(); }));
  if (!list.field) return;
  const values = new Set();
  head.sets.forEach((set, i) => {
    const at = set.fields.indexOf(list.field);
    if (at < 0) return;
    const texts = list.indexes[i].fields[at];
    for (let row = 0; row < texts.length && values.size < 200; row += 1) values.add(texts.at(row));
  });
  place.append(select("is", [["", "any"], ...[...values].filter((value) => value).sort().map((value) => [value, oneLine(shortened(value))])], list.value, (value) => { list.value = value; refresh(); }));
}

/** Looks the searched text up in all prompts and responses, block by block. */
async function findTexts() {
  const wanted = list.text.toLowerCase();
  list.found = null;
  if (!wanted) return refresh();
  const found = head.sets.map(() => new Set());
  for (let set = 0; set < head.sets.length; set += 1) {
    for (const number of blocksOf(KIND.texts, set)) {
      const texts = await block(number, decodeTexts);
      if (list.text.toLowerCase() !== wanted) return undefined;
      const inPrompt = Array.from({ length: texts.prompts.length }, (_, i) => texts.prompts.at(i).toLowerCase().includes(wanted));
      for (let i = 0; i < texts.n; i += 1) {
        if (inPrompt[texts.promptOf[i]] || texts.responses.at(i).toLowerCase().includes(wanted)) found[set].add(head.blocks[number][2] + i);
      }
    }
  }
  list.found = found;
  return refresh();
}

function sortBy(key) {
  list.descending = list.sort === key ? !list.descending : key !== "row";
  list.sort = key;
  refresh();
}

/** The rows that the filters leave, in order. */
function refresh() {
  const entries = [];
  head.sets.forEach((set, number) => {
    const q = placeOfQ(number, list.q);
    if (q < 0 || (list.set !== "" && Number(list.set) !== number)) return;
    const index = list.indexes[number];
    const field = set.fields.indexOf(list.field);
    if (list.field && field < 0) return;
    for (let i = 0; i < index.n; i += 1) {
      if (list.found && !list.found[number].has(i)) continue;
      if (list.field && list.value && index.fields[field].at(i) !== list.value) continue;
      entries.push({ set: number, i, q });
    }
  });
  const column = COLUMNS.find(({ key }) => key === list.sort);
  const value = (e) => { const found = column.value(e, list.indexes[e.set], list.indexes[e.set].shifts[e.q]); return Number.isNaN(found) ? -Infinity : found; };
  const keyed = entries.map((e) => [value(e), e]);
  keyed.sort((a, b) => (list.descending ? b[0] - a[0] : a[0] - b[0]) || a[1].set - b[1].set || a[1].i - b[1].i);
  list.entries = keyed.map(([, e]) => e);
  for (const cell of document.querySelectorAll("#grid [role=columnheader]")) {
    const { key } = cell.dataset;
    if (COLUMNS.find((c) => c.key === key).value) cell.setAttribute("aria-sort", key !== list.sort ? "none" : list.descending ? "descending" : "ascending");
  }
  document.getElementById("grid").setAttribute("aria-rowcount", list.entries.length + 1);
  const body = document.getElementById("rows");
  body.style.height = `${list.entries.length * ROW_HEIGHT}px`;
  document.getElementById("count").textContent = `${list.entries.length.toLocaleString("en")} responses`;
  body.replaceChildren();
  drawRows();
}

/** Makes the rows in sight, and removes the others. */
function drawRows() {
  const body = document.getElementById("rows");
  if (!body || document.getElementById("samples").hidden) return;
  const top = -body.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - SPARE_ROWS);
  const last = Math.min(list.entries.length, Math.ceil((top + innerHeight) / ROW_HEIGHT) + SPARE_ROWS);
  const there = new Map();
  for (const row of [...body.children]) {
    const place = Number(row.dataset.place);
    if (place < first || place >= last) row.remove();
    else there.set(place, row);
  }
  for (let place = first; place < last; place += 1) {
    if (!there.has(place)) body.append(drawRow(place));
  }
}

function drawRow(place) {
  const e = list.entries[place];
  const index = list.indexes[e.set];
  const shift = index.shifts[e.q];
  const row = element("div", { role: "row", class: "line", "aria-rowindex": place + 2, "data-place": place });
  row.style.top = `${place * ROW_HEIGHT}px`;
  const target = fragment(addressOf(e.set, index.id[e.i], { q: list.q }));
  const cell = (key, ...children) => row.append(element("div", { role: "gridcell", class: `cell ${key}` }, ...children));
  const name = `${index.row[e.i]}${index.turn[e.i] ? `.${index.turn[e.i]}` : ""}`;
  cell("row", element("a", { href: target, "aria-label": `row ${name}, ${setName(head.sets[e.set])}` }, name));
  const texts = element("div", { role: "gridcell", class: "cell text" });
  texts.append(element("div", { class: "quiet", dir: "auto" }, oneLine(index.prompt.at(e.i)) || setName(head.sets[e.set])));
  texts.append(element("div", { dir: "auto" }, oneLine(index.response.at(e.i))));
  row.append(texts);
  cell("tokens", String(index.tokens[e.i]) + (index.cut[e.i] ? " cut" : ""));
  for (const column of COLUMNS.filter(({ text }) => text)) cell(column.key, column.text(e, shift));
  const canvas = element("canvas", { width: 2 * head.bins, height: 18, role: "img", "aria-label": "where in the response" });
  drawStrip(canvas, shift.strips.subarray(e.i * head.bins / 2, (e.i + 1) * head.bins / 2), index.tokens[e.i]);
  cell("strip", canvas);
  row.addEventListener("click", () => { location.hash = target; });
  return row;
}

/** A response in bins, each in the colour of its largest change. */
function drawStrip(canvas, strip, tokens) {
  const context = canvas.getContext("2d");
  const bins = Math.min(head.bins, tokens);
  const width = canvas.width / bins;
  for (let bin = 0; bin < bins; bin += 1) {
    const level = ((strip[bin >> 1] >> (4 * (bin & 1))) & 15) - 5;
    context.fillStyle = level > 0 ? palette[`u${level}`] : level < 0 ? palette[`d${-level}`] : palette.bar;
    context.fillRect(bin * width, 0, Math.max(1, width - 0.5), canvas.height);
  }
}
