// What a token's colour says: five measures, each in steps that have a class in the style and a line in the legend.

const SIGNED = head.colours;
const MEASURES = {
  delta: { name: "Change of log-probability", unit: "nats", steps: SIGNED, signed: true, up: "Q likelier", down: "Q less likely" },
  kl: { name: "KL(P‖Q)", unit: "nats", steps: [0.01, 0.1, 0.3, 1, 3] },
  rank: { name: "Shift of rank", unit: "doublings", steps: [1, 2, 3, 4, 6], signed: true, up: "better rank by Q", down: "worse rank by Q" },
  entropy: { name: "Change of entropy", unit: "nats", steps: [0.1, 0.3, 0.7, 1.5, 3], signed: true, up: "Q less certain", down: "Q more certain" },
  class: { name: "Shift class", steps: [] },
};
const CLASSES = ["unknown", "unshifted", "marginal", "shifted"];

/** A token's value of a measure: of the Q at a place from 0, turned around if the models are swapped. */
function valueOf(measure, block, i, q, swapped) {
  const [p, other] = [block.models[0], block.models[q + 1]];
  const sign = swapped ? -1 : 1;
  switch (measure) {
    case "kl": return block.pairs[q].kl ? block.pairs[q].kl[i] : NaN;
    case "rank": return p.rank[i] && other.rank[i] ? sign * Math.log2(p.rank[i] / other.rank[i]) : NaN;
    case "entropy": return sign * (other.entropy[i] - p.entropy[i]);
    case "class": return block.pairs[q].classes[i];
    default: return sign * (other.logprob[i] - p.logprob[i]);
  }
}

/** How many steps a value has reached, with its sign. */
function stepOf(measure, value) {
  const size = Math.abs(value);
  const steps = MEASURES[measure].steps.filter((from) => size >= from).length;
  return value < 0 ? -steps : steps;
}

/** The style's class of a value; nothing where it is small or unknown. */
function colourClass(measure, value) {
  if (measure === "class") return value > 1 ? `c${value}` : "";
  const step = stepOf(measure, value);
  if (!step) return "";
  return MEASURES[measure].signed ? (step > 0 ? `u${step}` : `d${-step}`) : `k${step}`;
}

/** Whether the keys for the next big shift stop at a value. */
const isBig = (measure, value) => measure === "class" ? value === 3 : Math.abs(stepOf(measure, value)) >= 3;

let palette = {};

/** The style's colours for canvases, which know no classes. */
function readPalette() {
  const style = getComputedStyle(document.documentElement);
  palette = {};
  for (const arm of ["u", "d", "k"]) {
    for (let step = 1; step <= 5; step += 1) palette[`${arm}${step}`] = style.getPropertyValue(`--m-${arm}${step}`).trim();
  }
  [palette.c2, palette.c3] = [palette.d2, palette.d4];
  palette.bar = style.getPropertyValue("--bar").trim();
}

/** The legend of a measure. */
function legend(measure) {
  const { name, unit, steps, signed: both, up, down } = MEASURES[measure];
  const made = element("div", { class: "legend", role: "group", "aria-label": `Legend: ${name}` });
  const sample = (style, text) => made.append(element("span", { class: `key ${style}` }, text));
  if (measure === "class") {
    sample("", "unshifted"); sample("c2", "marginal"); sample("c3", "shifted");
    return made;
  }
  if (both) {
    made.append(element("span", {}, down));
    for (let step = 5; step >= 1; step -= 1) sample(`d${step}`, `${MINUS}${steps[step - 1]}`);
  }
  sample("", both ? "0" : `below ${steps[0]}`);
  steps.forEach((from, i) => sample(`${both ? "u" : "k"}${i + 1}`, `${both ? "+" : ""}${from}`));
  made.append(element("span", {}, both ? `${up} (${unit})` : unit));
  return made;
}
