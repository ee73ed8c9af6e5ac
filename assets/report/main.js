// Which view is shown, and what is the same in all of them.

const views = { overview: () => {}, samples: openList, reader: openReader };
let shown = "";
let scrolled = 0;

async function show() {
  const fields = address();
  const { view } = fields;
  if (shown === "samples") scrolled = scrollY;
  for (const name of Object.keys(views)) document.getElementById(name).hidden = name !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const isNew = shown !== view;
  shown = view;
  try {
    if (isNew && view !== "samples") scrollTo(0, 0);
    await views[view](fields);
    if (isNew && view === "samples") { scrollTo(0, scrolled); drawRows(); }
  } catch (error) {
    document.getElementById(view).prepend(element("p", { role: "alert", class: "error" }, error.message));
  }
  document.documentElement.dataset.ready = view;
}

/** The statistics of a server that reads its tables come later than the samples. */
async function awaitOverview() {
  for (;;) {
    const answer = await asked("overview");
    if (answer.status === 200) {
      const text = await answer.text();
      const end = text.indexOf("\n");
      // The tables were read again without what could not be compared: blocks have other numbers.
      if (Number(text.slice(0, end)) !== head.first) return location.reload();
      // The same HTML as in a file: every name in it is escaped, and nothing that is parsed so runs.
      const parsed = new DOMParser().parseFromString(text.slice(end + 1), "text/html");
      return document.getElementById("overview").replaceChildren(...parsed.body.childNodes);
    }
    if (answer.status !== 202) throw new Error(`tokshift view answered ${answer.status}: reload the page`);
    await pause(1000);
  }
}

if (head.pending) {
  awaitOverview().catch((error) => {
    document.getElementById("pending")?.replaceWith(element("p", { role: "alert", class: "error" }, error.message));
  });
}
readPalette();
document.body.append(element("div", { id: "live", class: "unseen", role: "status", "aria-live": "polite" }));
addEventListener("hashchange", show);
addEventListener("keydown", (event) => { if (shown === "reader") readerKey(event); });
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("#overview details")) part.open = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readPalette();
  document.getElementById("rows")?.replaceChildren();
  drawRows();
  if (reader.sample) drawMap();
});
show();
