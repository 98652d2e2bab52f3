/* What this book's notebooks need in JupyterLab: figures come alive as on the site, and code that the site folds away
   is folded here too. An extension without a build step: JupyterLab loads this file, then asks it for its plugin. */
(function () {
  "use strict";

  const base = document.currentScript.src.replace(/[^/]*$/, "");
  const FIGURE = "figure.glm-figure[data-figure]";
  const FOLDED = ["hide-input", "remove-input"];
  let modules = {};

  function add(element) {
    return new Promise((resolve, reject) => {
      element.onload = resolve;
      element.onerror = reject;
      document.head.append(element);
    });
  }

  /* live.js and the style sheets, from beside this file. */
  function loadFigures() {
    const sheet = (name) => Object.assign(document.createElement("link"), { rel: "stylesheet", href: base + name });
    const script = Object.assign(document.createElement("script"), { src: base + "live.js" });
    return Promise.all([sheet("live.css"), sheet("notebooks.css"), script].map(add));
  }

  /* A figure inside a widget is drawn anew by the kernel: its controls are the widget's. */
  function bringAlive(figure) {
    if (figure.closest(".jupyter-widgets")) return;
    // else the arrow keys would move from cell to cell; JupyterLab asks the element that has the focus
    figure.addEventListener("focusin", (event) => { event.target.dataset.lmSuppressShortcuts = "true"; });
    window.glm.mount(figure);
  }

  function watchFigures() {
    const within = (node) => (node.matches(FIGURE) ? [node] : [...node.querySelectorAll(FIGURE)]);
    within(document.body).forEach(bringAlive);
    new MutationObserver((changes) => {
      const added = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeType === Node.ELEMENT_NODE);
      added.flatMap(within).forEach(bringAlive);
    }).observe(document.body, { childList: true, subtree: true });
  }

  /* The theme as the site says it, so that a figure that reads its colours once reads them again. */
  function followTheme() {
    const say = () => { document.documentElement.dataset.theme = document.body.dataset.jpThemeLight === "false" ? "dark" : "light"; };
    new MutationObserver(say).observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
    say();
  }

  function fold(cell) {
    const tags = cell.model.getMetadata("tags") || [];
    if (cell.model.type === "code" && tags.some((tag) => FOLDED.includes(tag))) cell.inputHidden = true;
  }

  async function activate(app, notebooks) {
    notebooks.widgetAdded.connect(async (tracker, panel) => {
      await panel.revealed;
      panel.content.widgets.forEach(fold);
    });
    followTheme();
    await loadFigures();
    watchFigures();
  }

  async function plugin() {
    const [notebook] = Object.values(modules["@jupyterlab/notebook"]);
    const { INotebookTracker } = (await notebook.get())();
    return { id: "inside-glm:notebooks", autoStart: true, requires: [INotebookTracker], activate };
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["inside-glm"] = {
    init: (shared) => { modules = shared; },
    get: async () => {
      const one = await plugin();
      return () => ({ __esModule: true, default: one });
    },
  };
})();
