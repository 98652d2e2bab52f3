/* What the theme leaves undone, mended in the page: names that screen readers and voice control can use,
   landmarks for all content, and wide things that the keyboard can scroll. */
document.addEventListener("DOMContentLoaded", () => {
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

  // A control's name must contain the words that it shows.
  each("button[aria-label], summary[aria-label]", (control) => { if (control.textContent.trim()) control.removeAttribute("aria-label"); });
  each(".theme-switch-button", (button) => button.setAttribute("aria-label", "Color mode"));
  each(".sidebar-toggle.primary-toggle", (button) => button.setAttribute("aria-label", "List of chapters"));
  each(".sidebar-toggle.secondary-toggle", (button) => button.setAttribute("aria-label", "On this page"));

  // All content stands in a landmark.
  each(".bd-sidebar-primary", (bar) => { bar.setAttribute("role", "navigation"); bar.setAttribute("aria-label", "Book"); });
  each("nav.bd-docs-nav", (nav) => nav.setAttribute("aria-label", "Chapters"));
  each("#pst-skip-link", (link) => { link.setAttribute("role", "navigation"); link.setAttribute("aria-label", "Skip"); });

  // A table's empty corner is no header.
  each(".bd-article th", (cell) => {
    if (cell.textContent.trim() || cell.querySelector("img, svg")) return;
    cell.replaceWith(Object.assign(document.createElement("td"), { className: cell.className }));
  });

  // What scrolls can be reached by the keyboard.
  const reach = () => each(".highlight pre, .output, .pst-scrollable-table-container, mjx-container[display]", (box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; else box.removeAttribute("tabindex");
  });
  reach();
  addEventListener("resize", reach);
  addEventListener("load", () => { reach(); window.MathJax?.startup?.promise?.then(reach); });
});
