// A report in a browser: what it shows, that it says what `show --json` says, and that no text of data runs.
// scripts/check-report.sh makes the pages and sets PAGES (their folder) and TOKSHIFT (the binary).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";

const pages = process.env.PAGES;
const require = createRequire(`${process.env.MODULES}/`);
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const url = (name, hash = "") => `file://${path.join(pages, name)}${hash}`;

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser.close());

/** A page that fails the test on an error, a dialog, or anything that the policy stopped. */
async function open(address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("console", (message) => { if (message.type() === "error") page.problems.push(message.text()); });
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("dialog", (dialog) => { page.problems.push("a dialog"); dialog.dismiss(); });
  page.on("request", (request) => { if (!request.url().startsWith("file:") && !request.url().startsWith("http://localhost")) page.problems.push(request.url()); });
  await page.goto(address);
  await ready(page, new URL(address).hash);
  return page;
}

/** The view of an address has been drawn. */
async function ready(page, hash) {
  const view = /[#&]s=/.test(hash) ? "reader" : hash.startsWith("#samples") ? "samples" : "overview";
  await poll(() => page.evaluate(() => document.documentElement.dataset.ready), (found) => found === view, view);
}

async function poll(value, is, what) {
  for (let i = 0; i < 200; i += 1) {
    const found = await value();
    if (is(found)) return found;
    await new Promise((done) => { setTimeout(done, 25); });
  }
  throw new Error(`waited for ${what}: ${await value()}`);
}

const clean = async (page) => {
  assert.deepEqual(page.problems, []);
  await page.context().close();
};
const show = (out, ...options) => JSON.parse(execFileSync(process.env.TOKSHIFT, ["show", path.join(pages, out), ...options, "--json"], { maxBuffer: 1 << 28 }));
const texts = (page, selector) => page.locator(selector).allTextContents();
const go = async (page, hash) => {
  await page.evaluate((to) => { delete document.documentElement.dataset.ready; location.hash = to; }, hash);
  await ready(page, hash);
};

/** The choice in the list's controls that is labelled so. */
const field = (page, name) =>
  page.locator("#samples label.field", { has: page.locator("span", { hasText: new RegExp(`^${name}$`) }) }).locator("select");

const READER = "#g=rl&t=arithmetic&p=rl&q=base&s=3";

test("the overview is complete without a script, and in print", async () => {
  const page = await open(url("demo.html"), {});
  await clean(page);
  const context = await browser.newContext({ javaScriptEnabled: false });
  const plain = await context.newPage();
  await plain.goto(url("demo.html"));
  const text = await plain.locator("#overview").innerText();
  for (const part of ["KL divergence by task", "Classes of tokens", "By position", "perplexities", "What was compared", "arithmetic by rl"]) {
    assert.ok(text.toLowerCase().includes(part.toLowerCase()), part);
  }
  assert.ok(await plain.locator("svg.figure").count() >= 4);
  await plain.emulateMedia({ media: "print" });
  assert.ok(await plain.locator("#overview h2").first().isVisible());
  await context.close();
  const reader = await open(url("demo.html", READER));
  await reader.emulateMedia({ media: "print" });
  assert.ok(await reader.locator("#overview h2").first().isVisible(), "printing has the overview from any view");
  await clean(reader);
});

test("the overview leads to samples and tokens", async () => {
  const page = await open(url("demo.html"));
  await page.locator("#overview td a", { hasText: "chat by rl" }).first().click();
  await poll(() => page.evaluate(() => document.documentElement.dataset.ready), (view) => view === "samples", "the list");
  assert.equal(await field(page, "Responses").locator("option:checked").innerText(), "chat by rl");
  await go(page, "#");
  await page.locator("#overview td a", { hasText: ", token " }).first().click();
  await poll(() => page.evaluate(() => document.documentElement.dataset.ready), (view) => view === "reader", "the reader");
  assert.equal(await page.locator("#text .pinned").count(), 1);
  await clean(page);
});

test("the list sorts, filters and searches", async () => {
  const page = await open(url("demo.html", "#samples"));
  const all = Number.parseInt((await page.locator("#count").innerText()).replaceAll(",", ""), 10);
  const column = async (key) => (await texts(page, `#rows .cell.${key}`)).map((text) => Number(text.replace("\u2212", "-").replace("%", "")));
  for (const [key, name] of [["tokens", "Tokens"], ["kl", "KL"], ["most", "Largest Δ"]]) {
    await page.locator("#grid").getByRole("button", { name, exact: true }).click();
    const found = (await column(key)).slice(0, 8).map(Math.abs);
    assert.deepEqual(found, [...found].sort((a, b) => b - a), name);
    assert.equal(await page.locator(`[data-key=${key}]`).getAttribute("aria-sort"), "descending");
  }
  await page.locator("#search").fill("Answer");
  const some = await poll(async () => Number.parseInt(await page.locator("#count").innerText(), 10), (n) => n < all, "fewer rows");
  assert.ok(some > 0);
  await page.locator("#search").fill("no text has this");
  await poll(() => page.locator("#count").innerText(), (text) => text.startsWith("0 "), "no row");
  await page.locator("#search").fill("");
  await poll(() => page.locator("#count").innerText(), (text) => Number.parseInt(text.replaceAll(",", ""), 10) === all, "all rows");
  await field(page, "Responses").selectOption({ label: "chat by rl" });
  await field(page, "Field").selectOption("kind");
  const kinds = await field(page, "is").locator("option").allTextContents();
  await field(page, "is").selectOption({ index: 1 });
  assert.ok(kinds.length > 1);
  assert.ok(Number.parseInt(await page.locator("#count").innerText(), 10) < all);
  await clean(page);
});

test("the panel says what show says", async () => {
  const page = await open(url("demo.html", READER));
  const sample = show("demo/out", "3", "--generation-model", "rl", "--task", "arithmetic", "--models", "base");
  assert.equal(await page.locator("#text span").count(), sample.tokens.length);
  for (const token of sample.tokens.slice(0, 12)) {
    await go(page, `${READER}&k=${token.position}`);
    const lines = await page.locator("#panel .numbers tbody tr").all();
    const numbers = Object.fromEntries(await Promise.all(lines.map(async (line) => {
      const cells = await line.locator("td").allTextContents();
      return [cells[1], cells];
    })));
    const fixed = (x, places) => x.toFixed(places).replace("-", "\u2212");
    sample.models.forEach((model, i) => {
      const { logprob, rank, entropy } = token.models[i];
      assert.deepEqual([numbers[model][2], numbers[model][4], numbers[model][5]], [fixed(logprob, 4), String(rank), fixed(entropy, 4)], `${token.position} ${model}`);
    });
    const facts = await page.locator("#panel .facts dd").allTextContents();
    const delta = token.pairs[0].delta_logprob;
    assert.equal(facts[0], `${delta > 0 ? "+" : ""}${fixed(delta, 4)} nats`);
    assert.equal(facts[1], `${fixed(Math.fround(token.pairs[0].kl), 6)} nats`);
    assert.equal(facts[2], token.pairs[0].class ?? "unknown");
  }
  assert.match(await page.locator("#panel .note").innerText(), /Entries shown: rl \d+, base \d+, of up to 20/);
  await clean(page);
});

test("keys, swapping and the address lead where they should", async () => {
  const page = await open(url("demo.html", READER));
  await page.keyboard.press("n");
  const address = await poll(() => page.evaluate(() => location.hash), (hash) => hash.includes("k="), "a pinned token");
  const at = await page.locator("#panel h2").innerText();
  const again = await open(url("demo.html", address));
  assert.equal(await again.locator("#panel h2").innerText(), at, "the address leads to the same token");
  await clean(again);
  const delta = (await page.locator("#panel .facts dd").first().innerText()).replace(/[+\u2212]/, "");
  const sign = (await page.locator("#panel .facts dd").first().innerText())[0];
  await page.getByRole("button", { name: "swap models" }).click();
  await poll(() => page.evaluate(() => location.hash), (hash) => hash.includes("x=1"), "swapped");
  const swapped = await poll(() => page.locator("#panel .facts dd").first().innerText(), (text) => text[0] !== sign, "the other sign");
  assert.equal(swapped.replace(/[+\u2212]/, ""), delta);
  for (const colour of ["kl", "rank", "entropy", "class", "delta"]) {
    await page.getByLabel("Colour").selectOption(colour);
    await poll(() => page.locator(".legend").getAttribute("aria-label"), (label) => label.startsWith("Legend"), colour);
  }
  await page.keyboard.press("Escape");
  await poll(() => page.evaluate(() => location.hash), (hash) => !hash.includes("k="), "no pinned token");
  await page.locator("#text").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await poll(() => page.evaluate(() => location.hash), (hash) => hash.includes("k="), "pinned by Enter");
  const before = await page.locator("h1").last().innerText();
  await page.locator("h1").last().click();
  await page.keyboard.press("j");
  await poll(() => page.locator("#reader h1").innerText(), (title) => title !== before, "the next sample");
  await clean(page);
});

test("no text of data is markup or script", async () => {
  for (const name of ["hostile.html", "imported.html"]) {
    const page = await open(url(name));
    await go(page, "#samples");
    const link = await page.locator("#rows a").first().getAttribute("href");
    await go(page, link);
    for (let i = 0; i < 3; i += 1) await page.keyboard.press("n");
    assert.equal(await page.evaluate(() => window.pwned), undefined, name);
    assert.equal(await page.locator("img, iframe, object").count(), 0, name);
    const shown = await page.locator("#reader").innerText();
    assert.ok(!/[\u202e\u2066\u200b\u2028]/.test(shown), "marks that turn writing are visible");
    await clean(page);
  }
  const page = await open(url("imported.html", "#samples"));
  await go(page, await page.locator("#rows a").first().getAttribute("href"));
  const long = await poll(() => page.locator("#text").innerText(), (text) => text.includes("more characters"), "a long token");
  assert.ok(long.length < 20_000, "a token of a megabyte is shortened");
  assert.ok(fs.statSync(path.join(pages, "imported.html")).size < 500_000, "and is in no table of the overview");
  await clean(page);
});

test("emoji that tokens cut are whole", async () => {
  const page = await open(url("hostile.html", "#samples"));
  await page.locator("#search").fill("🙂");
  await poll(() => page.locator("#count").innerText(), (text) => text.startsWith("1 "), "the row");
  await go(page, await page.locator("#rows a").first().getAttribute("href"));
  const shown = await page.locator("#text").innerText();
  assert.ok(shown.includes("🙂👩‍👧".replace("\u200d", "\\u{200d}")) && !shown.includes("\ufffd"), shown);
  await clean(page);
});

test("four models stand side by side, and a fifth is named", async () => {
  const page = await open(url("four.html"));
  assert.match(await page.locator("#overview").innerText(), /not in the reader: d/);
  await go(page, "#samples");
  assert.deepEqual(await field(page, "Q").locator("option").allTextContents(), ["a", "b", "c"]);
  const sample = show("five", "2");
  assert.deepEqual(sample.models, ["rl", "a", "b", "c"]);
  const fixed = (x) => x.toFixed(4).replace("-", "\u2212");
  for (const [place, q] of ["a", "b", "c"].entries()) {
    for (const token of sample.tokens.slice(0, 4)) {
      await go(page, `#g=rl&t=chat&p=rl&s=2&q=${q}&k=${token.position}`);
      const rows = await Promise.all((await page.locator("#panel .numbers tbody tr").all()).map((row) => row.locator("td").allTextContents()));
      assert.deepEqual(rows.map((row) => row[1]), sample.models);
      assert.deepEqual(rows.map((row) => row[0]), ["P", ...["a", "b", "c"].map((name) => (name === q ? "Q" : ""))]);
      assert.deepEqual(rows.map((row) => row[2]), token.models.map(({ logprob }) => fixed(logprob)));
      const { delta_logprob: delta } = token.pairs[place];
      assert.equal((await page.locator("#panel .facts dd").allTextContents())[0], `${delta > 0 ? "+" : ""}${fixed(delta)} nats`);
    }
  }
  await clean(page);
});

test("tables of many columns are read without moving sideways at 390 px", async () => {
  const page = await open(url("demo.html"), { viewport: { width: 390, height: 800 } });
  const tables = await page.locator("#overview > section > .scroll:has(table.wide)").evaluateAll((all) => all.map((one) => one.scrollWidth - one.clientWidth));
  assert.ok(tables.length >= 3, `${tables.length} wide tables`);
  assert.deepEqual(tables.filter((beyond) => beyond > 0), []);
  const first = page.locator("#overview .wide tbody td").first();
  assert.equal(await first.evaluate((cell) => getComputedStyle(cell, "::before").content), '"responses"');
  await clean(page);
});

test("ten thousand rows make no more than 60 elements", async () => {
  const page = await open(url("many.html", "#samples"));
  assert.equal(await page.locator("#grid").getAttribute("aria-rowcount"), "10001");
  for (const share of [0, 0.3, 0.99, 0.5]) {
    await page.evaluate((to) => scrollTo(0, to * document.documentElement.scrollHeight), share);
    await poll(() => page.locator("#rows .line").count(), (n) => n > 5 && n <= 60, "windowed rows");
  }
  await clean(page);
});

test("a page of limited size says what is left out", async () => {
  const page = await open(url("limited.html"));
  assert.match(await page.locator("#overview").innerText(), /\d+ of \d+ compared responses are in this page/);
  await go(page, "#samples");
  assert.match(await page.locator("#samples .note").innerText(), /\d+ of \d+ responses/);
  assert.ok(fs.statSync(path.join(pages, "limited.html")).size <= Number(process.env.LIMIT));
  await clean(page);
});

test("a folder and a server show the same", async () => {
  const inFile = await open(url("demo.html", READER));
  const expected = [await inFile.locator("#text").innerText(), await inFile.locator("#panel").innerText()];
  await clean(inFile);
  for (const address of [url("folder/report.html", READER), `${process.env.VIEW}${READER}`]) {
    const page = await open(address);
    assert.deepEqual([await page.locator("#text").innerText(), await page.locator("#panel").innerText()], expected, address);
    await clean(page);
  }
});

test("a server's statistics appear when they are computed", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  let requests = 0;
  await page.route("**/?key=*", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text())
      .replace('"pending":false', '"pending":true')
      .replace(/<div id="overview">[^]*?<noscript>/, '<div id="overview"><p id="pending">The statistics are being computed</p><noscript>');
    await route.fulfill({ response: answer, body });
  });
  await page.route("**/overview?*", async (route) => {
    requests += 1;
    if (requests < 2) await route.fulfill({ status: 202, body: "" });
    else await route.continue();
  });
  await page.goto(`${process.env.VIEW}#samples`);
  await poll(() => page.locator("#rows .line").count(), (n) => n > 5, "samples before statistics");
  await poll(() => page.locator("#overview").innerHTML(), (html) => html.includes("KL divergence by task"), "statistics");
  assert.equal(requests, 2);
  assert.equal(await page.locator("#pending").count(), 0);
  await context.close();
});

test("nothing serious for those who see or move otherwise", async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [{ width: 1280, height: 860 }, { width: 390, height: 800 }]) {
      const page = await open(url("demo.html"), { colorScheme, viewport });
      for (const hash of ["", "#samples", `${READER}&k=2`]) {
        if (hash) await go(page, hash);
        await page.evaluate(() => scrollTo(0, 0));
        if (process.env.SHOTS) await page.screenshot({ path: path.join(process.env.SHOTS, `${hash.slice(1, 8) || "overview"}-${colorScheme}-${viewport.width}.png`) });
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`), [], `${colorScheme} ${viewport.width} ${hash}`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no sideways scrolling: ${viewport.width} ${hash}`);
      }
      await clean(page);
    }
  }
});
