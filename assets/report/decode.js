// What the bytes of a block say: the inverse of src/report/columns.rs and of the four kinds of blocks.
// Nothing here knows a page; `node --test` runs it as it is.

const VERSION = 1;
const KIND = { vocabulary: 0, index: 1, texts: 2, tokens: 3 };
const utf8 = new TextDecoder();

/** Texts that are decoded when they are read. */
class Texts {
  constructor(bytes, lengths) {
    this.bytes = bytes;
    this.starts = new Uint32Array(lengths.length + 1);
    lengths.forEach((length, i) => { this.starts[i + 1] = this.starts[i] + length; });
  }

  get length() { return this.starts.length - 1; }

  at(i) { return utf8.decode(this.bytes.subarray(this.starts[i], this.starts[i + 1])); }
}

/** The columns of a block, read from its beginning. */
class Columns {
  constructor(bytes, kind) {
    if (bytes[0] !== VERSION || bytes[1] !== kind) throw new Error("this block is of another version of tokshift");
    this.all = bytes;
    this.from = 2;
  }

  bytes(n) {
    this.from += n;
    return this.all.subarray(this.from - n, this.from);
  }

  count() { return this.numbers(4, 1)[0]; }

  /** Numbers whose bytes stand in planes. */
  numbers(width, n) {
    const planes = this.bytes(width * n);
    const numbers = new Uint32Array(n);
    for (let plane = 0; plane < width; plane += 1) {
      for (let i = 0; i < n; i += 1) numbers[i] |= planes[plane * n + i] << (8 * plane);
    }
    return numbers;
  }

  floats(n) { return new Float32Array(this.numbers(4, n).buffer); }

  texts(n) {
    const lengths = this.numbers(4, n);
    return new Texts(this.bytes(lengths.reduce((sum, length) => sum + length, 0)), lengths);
  }
}

/** Running sums from 0. */
function ends(lengths) {
  const starts = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, i) => { starts[i + 1] = starts[i] + length; });
  return starts;
}

/** Ids and their texts; place 0 is an unknown id. */
function decodeVocabulary(bytes) {
  const columns = new Columns(bytes, KIND.vocabulary);
  const n = columns.count();
  return { ids: columns.numbers(4, n), texts: columns.texts(n) };
}

/** One row per sample of a response set with so many kept fields and Qs. */
function decodeIndex(bytes, fields, qs, bins) {
  const columns = new Columns(bytes, KIND.index);
  const n = columns.count();
  const index = {
    n,
    id: columns.numbers(4, n), row: columns.numbers(4, n), turn: columns.numbers(4, n), tokens: columns.numbers(4, n),
    cut: columns.bytes(n),
    rowId: columns.texts(n), prompt: columns.texts(n), response: columns.texts(n),
    fields: [], shifts: [],
  };
  for (let field = 0; field < fields; field += 1) index.fields.push(columns.texts(n));
  for (let q = 0; q < qs; q += 1) {
    index.shifts.push({
      tokens: columns.numbers(4, n), delta: columns.floats(n), kl: columns.floats(n), most: columns.floats(n),
      mostAt: columns.numbers(4, n), shifted: columns.numbers(4, n), classed: columns.numbers(4, n),
      strips: columns.bytes(n * bins / 2),
    });
  }
  return index;
}

/** Prompts and responses of some samples. */
function decodeTexts(bytes) {
  const columns = new Columns(bytes, KIND.texts);
  const [n, prompts] = [columns.count(), columns.count()];
  const texts = columns.texts(prompts);
  return { n, prompts: texts, promptOf: columns.numbers(4, n), responses: columns.texts(n) };
}

/** Every number of the tokens of some samples, of so many models, the first of them P. */
function decodeTokens(bytes, models) {
  const columns = new Columns(bytes, KIND.tokens);
  const [samples, n] = [columns.count(), columns.count()];
  const hasSpans = columns.bytes(1)[0] === 1;
  const block = { starts: ends(columns.numbers(4, samples)), ids: columns.numbers(3, n), offsets: columns.numbers(4, n) };
  if (hasSpans) {
    block.gaps = columns.numbers(4, n);
    block.lengths = columns.numbers(4, n);
  } else {
    block.texts = columns.texts(n);
  }
  block.flags = columns.bytes(n);
  block.models = [];
  for (let model = 0; model < models; model += 1) {
    const scores = { logprob: columns.floats(n), entropy: columns.floats(n), rank: columns.numbers(4, n), lists: ends(columns.bytes(n)) };
    const entries = scores.lists[n];
    scores.top = columns.numbers(3, entries);
    scores.steps = columns.numbers(2, entries);
    block.models.push(scores);
  }
  block.pairs = [];
  for (let q = 1; q < models; q += 1) {
    const kl = columns.bytes(1)[0] === 1 ? columns.floats(n) : null;
    block.pairs.push({ kl, classes: columns.bytes(n) });
  }
  return block;
}

/** The byte ranges of one sample's tokens. */
function spansOf(block, sample) {
  const spans = [];
  let before = 0;
  for (let i = block.starts[sample]; i < block.starts[sample + 1]; i += 1) {
    const gap = block.gaps[i];
    const start = before + ((gap >>> 1) ^ -(gap & 1));
    const end = start + block.lengths[i];
    spans.push([start, end]);
    before = end;
  }
  return spans;
}
