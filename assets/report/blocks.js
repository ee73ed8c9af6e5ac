// Where blocks are, and the last ones that were read. Their content: decode.js.

const head = JSON.parse(document.getElementById("head").textContent);
const KEPT_BLOCKS = 32;
const blocks = new Map();
const arrived = new Map();

/** The numbers of a set's blocks of one kind. */
function blocksOf(kind, set) {
  const found = [];
  head.blocks.forEach((block, number) => { if (block[0] === kind && block[1] === set) found.push(number); });
  return found;
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** The base64 text of a block in the page, once all of it was parsed. */
async function inPage(number) {
  for (;;) {
    const element = document.getElementById(`b${number}`);
    if (element && (element.nextElementSibling || document.readyState !== "loading")) return element.textContent;
    if (!element && document.readyState !== "loading") throw new Error("the page ends before its data: it was cut off");
    await pause(15);
  }
}

/** The same, from a script beside the page, which calls `tokshift`. */
function besidePage(number) {
  return new Promise((done, failed) => {
    const element = document.createElement("script");
    element.src = `data/b${number}.js`;
    element.onerror = () => failed(new Error(`data/b${number}.js is missing: keep the folder data beside the page`));
    arrived.set(number, (text) => { element.remove(); done(text); });
    document.head.append(element);
  });
}
if (head.carrier === "folder") {
  window.tokshift = (number, text) => { arrived.get(number)?.(text); arrived.delete(number); };
}

/** What `tokshift view` answers. */
async function asked(path) {
  try {
    return await fetch(`${path}${location.search}`);
  } catch {
    throw new Error("tokshift view does not answer: is it still running?");
  }
}

async function fromServer(number) {
  const answer = await asked(`b/${head.first + number}`);
  if (!answer.ok) throw new Error(`tokshift view answered ${answer.status}: reload the page`);
  return new Uint8Array(await answer.arrayBuffer());
}

function bytesOfBase64(text) {
  return Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

async function inflate(deflated) {
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function read(number, decode) {
  const carrier = { page: inPage, folder: besidePage, http: fromServer }[head.carrier];
  const found = await carrier(number);
  return decode(await inflate(typeof found === "string" ? bytesOfBase64(found) : found));
}

/** A decoded block; the last few stay. */
function block(number, decode) {
  let found = blocks.get(number);
  blocks.delete(number);
  if (!found) {
    found = read(number, decode);
    found.catch(() => blocks.delete(number));
  }
  blocks.set(number, found);
  if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  return found;
}

const forever = new Map();

/** A decoded block that is always needed: an index, a vocabulary. */
function lasting(number, decode) {
  if (!forever.has(number)) forever.set(number, read(number, decode));
  return forever.get(number);
}

const indexOf = (set) => {
  const { fields, models } = head.sets[set];
  return lasting(blocksOf(KIND.index, set)[0], (bytes) => decodeIndex(bytes, fields.length, models.length - 1, head.bins));
};
const vocabularyOf = (set) => lasting(blocksOf(KIND.vocabulary, head.sets[set].vocabulary)[0], decodeVocabulary);

/** The block of a kind that has a sample, by its place in the list of its set, and its place there. */
async function blockWith(kind, set, sample, decode) {
  const number = blocksOf(kind, set).find((i) => head.blocks[i][2] <= sample && sample < head.blocks[i][2] + head.blocks[i][3]);
  return [await block(number, decode), sample - head.blocks[number][2]];
}
const textsWith = (set, sample) => blockWith(KIND.texts, set, sample, decodeTexts);
const tokensWith = (set, sample) =>
  blockWith(KIND.tokens, set, sample, (bytes) => decodeTokens(bytes, head.sets[set].models.length));
