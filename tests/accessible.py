"""axe on a page, with the contrast of each kind of text measured a few times and not a few thousand.

Text of one colour, size and weight on the same grounds has one contrast. axe measures every span of a listing, which
takes nine tenths of its time; here it measures the first texts of each kind. All other rules see the whole page.
"""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

EACH_KIND = """;(() => {
  const FEW = 3;  // of a kind, should one lie where axe cannot measure it
  const grounds = new Map([[null, ""]]);
  const ground = e => {  // all that is painted behind and over the text of e
    if (!grounds.has(e)) {
      const s = getComputedStyle(e);
      const own = [[s.backgroundColor, "rgba(0, 0, 0, 0)"], [s.backgroundImage, "none"], [s.opacity, "1"],
        [s.position, "static"], [s.filter, "none"], [s.mixBlendMode, "normal"]];
      grounds.set(e, own.filter(([value, usual]) => value !== usual).map(String) + ground(e.parentElement));
    }
    return grounds.get(e);
  };
  const written = e => [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());
  const seen = new Map();
  for (const e of document.querySelectorAll("*")) {
    delete e.dataset.contrast;
    if (!e.checkVisibility() || !(written(e) || e.matches("input, select, textarea, button"))) continue;
    const s = getComputedStyle(e);
    const kind = [s.color, s.fontSize, s.fontWeight, s.textShadow, ground(e)].join();
    seen.set(kind, (seen.get(kind) || 0) + 1);
    if (seen.get(kind) <= FEW) e.dataset.contrast = "";
  }
  axe.configure({rules: [{id: "color-contrast", selector: "[data-contrast]"}]});
})();"""
AXE = Axe(Axe().axe_script + EACH_KIND)


def violations(page: Page) -> list[str]:
    """What axe finds, one line a place: the rule, the element and what is wrong with it."""
    found = AXE.run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]
