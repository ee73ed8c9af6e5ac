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
