// The panel: every number of one token, and the lists of both models mirrored.

/** An end token is no part of the response; without a tokenizer its text is unknown. */
const END_TOKEN = "⟨end⟩";
const endText = (vocabulary, place) => (place && vocabulary.texts.at(place - 1)) || END_TOKEN;

/** A token's text by the place of its id in the vocabulary; its id where the text is unknown. */
function idText(vocabulary, place) {
  if (!place) return "?";
  return vocabulary.texts.at(place - 1) || `#${vocabulary.ids[place - 1]}`;
}

function drawPanel(panel, sample, i, { q, swapped, pinned }) {
  const { set, block: data, vocabulary } = sample;
  const { models, top_k: topK } = head.sets[set];
  const at = data.starts[sample.place] + i;
  const name = sample.texts[i] || idText(vocabulary, data.ids[at]);
  panel.replaceChildren();
  panel.append(element("h2", {}, element("code", { class: "token", dir: "auto" }, tokenName(shortened(name))), element("span", { class: "quiet" }, ` token ${i + data.offsets[at]}`)));
  if (pinned) panel.append(element("button", { type: "button", class: "small", onclick: unpin }, "unpin (Esc)"));
  const pair = data.pairs[q];
  const rows = data.models.map((scores, model) => {
    const role = model === 0 ? "P" : model === q + 1 ? "Q" : "";
    return [role, models[model], fixed(scores.logprob[at], 4), percent(Math.exp(scores.logprob[at])), scores.rank[at] || "–", fixed(scores.entropy[at], 4)];
  });
  const table = element("table", { class: "numbers" });
  table.append(element("thead", {}, element("tr", {}, ...["", "model", "log p", "p", "rank", "entropy"].map((text) => element("th", { scope: "col" }, text)))));
  const body = element("tbody");
  rows.forEach((row) => body.append(element("tr", {}, ...row.map((text) => element("td", {}, String(text))))));
  table.append(body);
  panel.append(table);
  const delta = valueOf("delta", data, at, q, swapped);
  const [from, to] = swapped ? [models[q + 1], models[0]] : [models[0], models[q + 1]];
  const facts = element("dl", { class: "facts" });
  const fact = (term, value) => facts.append(element("dt", {}, term), element("dd", {}, value));
  fact(`Δ log p (${to} ${MINUS} ${from})`, `${signed(delta, 4)} nats`);
  fact("KL(P‖Q)", pair.kl ? `${fixed(pair.kl[at], 6)} nats` : "only with exact measures");
  fact("class", CLASSES[pair.classes[at]]);
  panel.append(facts);
  panel.append(mirrored(sample, at, q, swapped));
  const cut = [0, q + 1].map((model) => {
    const shown = data.models[model].lists[at + 1] - data.models[model].lists[at];
    return `${models[model]} ${shown}`;
  });
  panel.append(element("p", { class: "note" }, `Entries shown: ${cut.join(", ")}, of up to ${topK[0]} in the tables; the page leaves out those below 0.5% or after the ${head.most_entries}th. Shown probabilities are within 0.03% of their own size.`));
  const live = document.getElementById("live");
  live.textContent = `${oneLine(shortened(name)).slice(0, 80)}, token ${i}: ${from} ${percent(Math.exp(data.models[swapped ? q + 1 : 0].logprob[at]))}, ${to} ${percent(Math.exp(data.models[swapped ? 0 : q + 1].logprob[at]))}`;
}

/** Probabilities of both lists by id. */
function listOf(scores, at) {
  const found = new Map();
  for (let j = scores.lists[at]; j < scores.lists[at + 1]; j += 1) found.set(scores.top[j], Math.exp(-scores.steps[j] / head.steps));
  return found;
}

function mirrored(sample, at, q, swapped) {
  const { set, block: data, vocabulary } = sample;
  const names = [head.sets[set].models[0], head.sets[set].models[q + 1]];
  const models = [data.models[0], data.models[q + 1]];
  if (swapped) { names.reverse(); models.reverse(); }
  const lists = models.map((scores) => listOf(scores, at));
  const own = data.ids[at];
  if (own) lists.forEach((found, side) => { const p = Math.exp(models[side].logprob[at]); if (!Number.isNaN(p)) found.set(own, p); });
  const ids = [...new Set([...lists[0].keys(), ...lists[1].keys()])];
  const most = (id) => Math.max(lists[0].get(id) ?? 0, lists[1].get(id) ?? 0);
  ids.sort((a, b) => most(b) - most(a) || a - b);
  const table = element("table", { class: "mirror" });
  table.append(element("thead", {}, element("tr", {}, element("th", { scope: "col", class: "left" }, names[0]), element("th", { scope: "col" }, "token"), element("th", { scope: "col" }, names[1]))));
  const body = element("tbody");
  const bar = (p, side) => {
    const cell = element("td", { class: side });
    if (p !== undefined) {
      const fill = element("span", { class: "fill" });
      fill.style.width = `${Math.max(1, 100 * p)}%`;
      cell.append(element("span", { class: "track" }, fill), element("span", { class: "share" }, percent(p)));
    } else {
      cell.append(element("span", { class: "share quiet" }, "–"));
    }
    return cell;
  };
  for (const id of ids) {
    const label = element("code", { class: id === own ? "token own" : "token", dir: "auto", title: id === own ? "the token of the response" : undefined }, tokenName(shortened(idText(vocabulary, id)).slice(0, 60)));
    body.append(element("tr", {}, bar(lists[0].get(id), "left"), element("td", { class: "name" }, label), bar(lists[1].get(id), "right")));
  }
  table.append(body);
  return table;
}
