// The page's decoder on the fixture that Rust writes (src/report/tests.rs). Needs node alone: node --test tests/report
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";

const source = fs.readFileSync(new URL("../../assets/report/decode.js", import.meta.url), "utf8");
const { decodeVocabulary, decodeIndex, decodeTexts, decodeTokens, spansOf } = new Function(
  `${source}\nreturn { decodeVocabulary, decodeIndex, decodeTexts, decodeTokens, spansOf };`,
)();
const fixture = (name) => new Uint8Array(fs.readFileSync(new URL(`../fixtures/report/${name}`, import.meta.url)));
const expected = JSON.parse(fs.readFileSync(new URL("../fixtures/report/expected.json", import.meta.url), "utf8"));

/** A number of JSON, where NaN is null. */
const same = (found, wanted, what) => assert.ok(wanted === null ? Number.isNaN(found) : found === Math.fround(wanted), `${what}: ${found} for ${wanted}`);

test("the vocabulary has ids and texts", () => {
  const { ids, texts } = decodeVocabulary(fixture("vocabulary.block"));
  assert.deepEqual([...ids], expected.ids);
  assert.deepEqual(expected.ids.map((_, i) => texts.at(i)), expected.texts);
});

test("the index has one row per sample", () => {
  const index = decodeIndex(fixture("index.block"), 1, 1, expected.bins);
  assert.equal(index.n, expected.index.length);
  expected.index.forEach((row, i) => {
    const shift = index.shifts[0];
    assert.deepEqual([index.id[i], index.row[i], index.tokens[i]], [row.id, row.row, row.tokens]);
    assert.deepEqual([index.prompt.at(i), index.response.at(i), index.fields[0].at(i)], [row.prompt, row.response, row.field]);
    for (const name of ["delta", "kl", "most"]) same(shift[name][i], row[name], name);
    assert.deepEqual([shift.mostAt[i], shift.shifted[i], shift.classed[i]], [row.mostAt, row.shifted, row.classed]);
    const half = expected.bins / 2;
    const strip = [...shift.strips.subarray(i * half, (i + 1) * half)].flatMap((two) => [two & 15, two >> 4]);
    assert.deepEqual(strip, row.strip);
  });
});

test("texts are whole, whatever they hold", () => {
  const texts = decodeTexts(fixture("texts.block"));
  expected.samples.forEach((sample, i) => {
    assert.equal(texts.prompts.at(texts.promptOf[i]), sample.prompt);
    assert.equal(texts.responses.at(i), sample.response);
  });
});

test("tokens have every number of both models", () => {
  const block = decodeTokens(fixture("tokens.block"), 2);
  expected.samples.forEach((sample, place) => {
    assert.equal(block.starts[place + 1] - block.starts[place], sample.tokens.length);
    const spans = spansOf(block, place);
    sample.tokens.forEach((token, i) => {
      const at = block.starts[place] + i;
      assert.deepEqual([block.ids[at], spans[i], block.flags[at] & 1], [token.place, token.span, Number(token.isEnd)]);
      token.models.forEach((model, m) => {
        const scores = block.models[m];
        same(scores.logprob[at], model.logprob, "logprob");
        same(scores.entropy[at], model.entropy, "entropy");
        assert.equal(scores.rank[at], model.rank);
        assert.deepEqual([...scores.top.subarray(scores.lists[at], scores.lists[at + 1])].map((id) => expected.ids[id - 1]), model.ids);
        assert.deepEqual([...scores.steps.subarray(scores.lists[at], scores.lists[at + 1])], model.steps);
      });
      same(block.pairs[0].kl[at], token.kl, "KL");
      assert.equal(block.pairs[0].classes[at], token.class);
    });
  });
});

test("a block of another version is no block", () => {
  const block = fixture("texts.block").slice();
  block[0] = 99;
  assert.throws(() => decodeTexts(block), /another version/);
});

test("a token may begin before the end of the one before it", () => {
  const block = { starts: [0, 3], gaps: [0, 3, 2], lengths: [4, 2, 1] };
  assert.deepEqual(spansOf(block, 0), [[0, 4], [2, 4], [5, 6]]);
});
