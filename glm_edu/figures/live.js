/* Live figures. A classic script: no modules, no build step, no request but one for plotly.min.js beside this file.
   It finds figure.glm-figure[data-figure], reads the JSON inside, and gives the static picture its controls when it
   nears the viewport. Words come from that JSON, so a translated book needs no change here. */
(function () {
  "use strict";

  const base = document.currentScript ? document.currentScript.src.replace(/[^/]*$/, "") : "";

  /* ---- the rules: pure functions, compared with Python in the tests ---- */

  const RULES = {
    prefix: (context, query, key) => key < context || key <= query,
    causal: (context, query, key) => key <= query,
    sop_joins_prefix: (context, query, key) => key <= context || key <= query,
  };

  function visible(rule, context, query, key, pads = 0) {
    return key >= pads && query >= pads && RULES[rule](context, query, key);
  }

  /* Rows of 0 and 1, like rule_mask in rules.py. */
  function maskOf(rule, context, length, pads = 0) {
    const index = [...Array(length).keys()];
    return index.map((query) => index.map((key) => Number(visible(rule, context, query, key, pads))));
  }

  /* The two clocks of ChatGLM-6B, or the one of ChatGLM2-6B, like rule_positions in rules.py. */
  function positions(context, length, pads = 0, anchor = null, channels = 2) {
    const index = [...Array(length).keys()];
    if (channels === 1) return [index.map((i) => Math.max(i - pads, 0))];
    const last = Math.max(context - 1 - pads, 0);
    const stop = anchor === null ? last : Math.min(anchor, last);
    return [
      index.map((i) => Math.max(i < context ? i - pads : stop, 0)),
      index.map((i) => Math.max(i - context + 1, 0)),
    ];
  }

  /* The pair (mask token, sop) taken from where it stands and put where the context now ends. */
  function slide(items, from, to) {
    const rest = items.filter((_, i) => i !== from - 1 && i !== from);
    return [...rest.slice(0, to - 1), items[from - 1], items[from], ...rest.slice(to - 1)];
  }

  /* One blank of a text, cut out and laid out like corrupt in corrupt.py. A token is an index of the text, or "mask",
     "sop", "eop"; a label is such a token, or null for -100. */
  function blank(length, start, size) {
    const index = [...Array(length).keys()];
    const answer = index.slice(start, start + size);
    const tokens = [...index.slice(0, start), "mask", ...index.slice(start + size), "sop", ...answer, "eop"];
    const context = length - size + 1;
    return {
      tokens, context,
      positions: positions(context, tokens.length, 0, start),
      mask: maskOf("prefix", context, tokens.length),
      labels: tokens.map((token, i) => (i > context ? token : null)),
    };
  }

  /* The hands of rotary clocks at a shift and a distance, the parts of the score and their sum: like hands in rotary.py. */
  function rotaryHands(data, shift, distance) {
    const angles = data.frequencies.map((turn, i) => [data.query[i][1] + (shift + distance) * turn, data.key[i][1] + shift * turn]);
    const parts = angles.map(([asks, answers], i) => data.query[i][0] * data.key[i][0] * Math.cos(asks - answers));
    return { angles, parts, score: parts.reduce((sum, part) => sum + part, data.rest || 0) };
  }

  const shade = (thousandth) => Math.round(Math.sqrt(Math.max(thousandth, 0) * 10));

  /* ---- small tools ---- */

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

  function slider(label, min, max, value, onInput, textOf = String) {
    const input = make("input", { type: "range", min, max, value, step: 1 });
    const shown = make("span", { class: "glm-value", "aria-hidden": "true" });
    input.addEventListener("input", () => onInput(input.valueAsNumber));
    const element = make("label", { class: "glm-slider" }, make("span", {}, label), input, shown);
    const set = (now) => {
      input.value = now;
      shown.textContent = textOf(now);
      if (textOf !== String) input.setAttribute("aria-valuetext", textOf(now));
    };
    set(value);
    return { element, set };
  }

  let choices = 0; // radio groups need a name each

  function choice(label, options, value, onChange) {
    const name = "glm-choice-" + choices++;
    const group = make("fieldset", { class: "glm-choice" }, make("legend", {}, label));
    const inputs = options.map(([key, text]) => {
      const input = make("input", { type: "radio", name, value: key });
      input.addEventListener("change", () => onChange(key));
      group.append(make("label", {}, input, make("span", {}, text)));
      return input;
    });
    const set = (now) => inputs.forEach((input) => { input.checked = input.value === now; });
    set(value);
    return { element: group, set };
  }

  /* Controls above the picture, one line under it that answers the pointer and the keyboard. */
  function frame(figure, controls, hint) {
    const picture = figure.querySelector(".glm-picture");
    const read = make("p", { class: "glm-read" }, hint || "");
    picture.setAttribute("role", "group");
    if (controls.length) picture.before(make("div", { class: "glm-controls" }, ...controls.map((control) => control.element)));
    picture.after(read);
    const tell = (text) => { read.textContent = text; };
    const describe = (text) => { tell(text); picture.setAttribute("aria-label", text); };
    return { picture, tell, describe };
  }

  /* Arrow keys and the pointer walk over a table's cells; one cell at a time is in the tab order. */
  function rove(picture, textOf, onPick, label = picture.getAttribute("aria-label")) {
    const table = picture.querySelector("table");
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1));
    const columns = [...table.tHead.rows[0].cells].slice(1);
    let here = [0, 0];
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", label);
    picture.removeAttribute("tabindex");
    rows.flat().forEach((cell) => { cell.tabIndex = -1; });
    rows[0][0].tabIndex = 0;

    const at = (event) => {
      const cell = event.target.closest("tbody td");
      return cell && [cell.parentNode.sectionRowIndex, cell.cellIndex - 1];
    };
    const mark = (q, k) => {
      table.querySelectorAll(".at").forEach((cell) => cell.classList.remove("at"));
      [rows[q][k], columns[k], rows[q][k].parentNode.cells[0]].forEach((cell) => cell.classList.add("at"));
      rows[q][k].setAttribute("aria-label", textOf(q, k));
    };
    const go = (q, k) => {
      rows[here[0]][here[1]].tabIndex = -1;
      here = [q, k];
      rows[q][k].tabIndex = 0;
      mark(q, k);
      rows[q][k].focus({ preventScroll: false });
    };
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const clamp = (value, list) => Math.min(Math.max(value, 0), list.length - 1);

    table.addEventListener("pointerover", (event) => { const spot = at(event); if (spot) mark(...spot); });
    table.addEventListener("focusin", (event) => { const spot = at(event); if (spot) { here = spot; mark(...spot); } });
    table.addEventListener("click", (event) => { const spot = at(event); if (spot) { go(...spot); if (onPick) onPick(spot[0]); } });
    table.addEventListener("keydown", (event) => {
      const [q, k] = here;
      if (step[event.key]) go(clamp(q + step[event.key][0], rows), clamp(k + step[event.key][1], columns));
      else if (event.key === "Home") go(q, 0);
      else if (event.key === "End") go(q, columns.length - 1);
      else if ((event.key === "Enter" || event.key === " ") && onPick) onPick(q);
      else return;
      event.preventDefault();
    });
    return { rows, columns };
  }

  /* ---- one function a picture ---- */

  function attentionMap(figure, data, words, controls = []) {
    let head = data.head;
    let held = null;
    const view = frame(figure, controls, words.hint);
    const weight = (q, k) => data.thousandths[head][q][k] / 1000;
    const textOf = (q, k) => fill(words.cell, { q: data.rows[q], k: data.columns[k], p: weight(q, k).toFixed(weight(q, k) < 0.01 ? 3 : 2) });
    const { rows } = rove(view.picture, (q, k) => { view.tell(textOf(q, k)); return textOf(q, k); }, hold);

    function hold(q) {
      held = held === q ? null : q;
      rows.forEach((cells, i) => cells[0].parentNode.classList.toggle("dim", held !== null && held !== i));
    }
    function show(chosen) {
      head = chosen;
      rows.forEach((cells, q) => {
        const values = data.thousandths[head][q];
        const top = values.indexOf(Math.max(...values));
        cells.forEach((cell, k) => {
          cell.style.setProperty("--p", shade(values[k]));
          cell.classList.toggle("top", k === top);
        });
      });
      buttons.forEach((button, h) => {
        button.classList.toggle("now", h === head);
        button.setAttribute("aria-pressed", h === head);
      });
    }
    const heads = view.picture.querySelector(".glm-heads");
    heads.setAttribute("role", "group");
    heads.setAttribute("aria-label", words.heads);
    const buttons = [...heads.children].map((thumb, h) => {
      const button = make("button", { type: "button" }, ...thumb.childNodes);
      button.addEventListener("click", () => { show(h); view.describe(fill(words.now, { h: data.heads ? data.heads[h] : h, n: data.thousandths.length })); });
      thumb.replaceWith(button);
      return button;
    });
    show(head);
    return { picture: view.picture, repaint: () => show(head) };
  }

  /* The root of a weight in 63rds, a letter each: like unpack in shades.py, in thousandths. */
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  function unpack(heads, queries) {
    return heads.map((text) => {
      const values = [...text].map((letter) => Math.round(1000 * (LETTERS.indexOf(letter) / 63) ** 2));
      const columns = values.length / queries;
      return [...Array(queries).keys()].map((q) => values.slice(q * columns, (q + 1) * columns));
    });
  }

  /* The paths of a thumbnail: like _thumbnail in attention.py, a square a cell. */
  function thumbnail(svg, values) {
    const paths = {};
    values.forEach((line, q) => line.forEach((p, k) => {
      const level = p && Math.ceil((shade(p) * 6) / 100);
      paths[level] = (paths[level] || "") + `M${k} ${q}h1v1h-1z`;
    }));
    const drawn = Object.keys(paths).filter((level) => level > 0);
    svg.replaceChildren(...drawn.map((level) => {
      const path = document.createElementNS(svg.namespaceURI, "path");
      path.setAttribute("class", `l${level}`);
      path.setAttribute("d", paths[level]);
      return path;
    }));
  }

  function attentionFilm(figure, data, words) {
    const last = data.steps.length - 1;
    const still = (i) => unpack(data.frames[i], data.rows.length);
    const shown = { ...data, thousandths: still(last) };
    const control = slider(words.step, 0, last, last, go, (i) => data.steps[i]);
    const map = attentionMap(figure, shown, words, [control]);
    const thumbs = map.picture.querySelectorAll(".glm-heads svg");
    const said = map.picture.querySelector(".glm-said");

    function go(i) {
      control.set(i);
      shown.thousandths = still(i);
      map.repaint();
      thumbs.forEach((svg, h) => thumbnail(svg, shown.thousandths[h]));
      said.textContent = data.said[i];
      map.picture.setAttribute("aria-label", data.said[i]);
    }
  }

  function maskPainter(figure, data, words) {
    if (!data.rule) return;
    const length = data.tokens.length;
    const state = { rule: data.rule, context: data.context };
    const least = data.slides ? data.pads + 1 : data.pads;
    const most = data.slides ? length - 1 : length;
    const context = slider(words.context, least, most, state.context, (value) => change({ context: value }));
    const rule = choice(words.rule, data.rules.map((key) => [key, words[key]]), state.rule, (value) => change({ rule: value }));
    const view = frame(figure, data.rules.length > 1 ? [context, rule] : [context], words.hint);
    const { rows, columns } = rove(view.picture, (q, k) => { view.tell(reason(q, k)); return reason(q, k); });
    const labels = columns.map((cell) => [cell.textContent, cell.firstChild.className]);
    let tokens = labels;

    function reason(q, k) {
      const values = { q: tokens[q][0], k: tokens[k][0], i: q, j: k, c: state.context };
      if (q < data.pads || k < data.pads) return words.hidden_pad;
      if (!visible(state.rule, state.context, q, k, data.pads)) {
        return fill(state.rule === "causal" ? words.hidden_causal : words.hidden_prefix, values);
      }
      if (inContext(k)) return fill(words.by_context, values);
      return fill(k <= q ? words.by_order : words.by_mistake, values);
    }
    const inContext = (k) => state.rule !== "causal" && k < state.context;
    const isMistake = (q, k) =>
      state.rule !== "causal" && visible(state.rule, state.context, q, k, data.pads) !== visible("prefix", state.context, q, k, data.pads);

    function label(cell, [text, fit], whole) {
      cell.firstChild.textContent = text;
      if (whole) cell.firstChild.className = fit;
    }
    function paint() {
      tokens = data.slides ? slide(labels, data.context, state.context) : labels;
      const mask = maskOf(state.rule, state.context, length, data.pads);
      const clocks = positions(state.context, length, data.pads, data.anchor, data.positions.length);
      [...view.picture.querySelector("thead").rows].slice(1).forEach((row, c) => {
        clocks[c].forEach((value, i) => { row.cells[i + 1].textContent = value; });
      });
      columns.forEach((cell, k) => label(cell, tokens[k], true));
      rows.forEach((cells, q) => {
        label(cells[0].parentNode.cells[0], tokens[q], false);
        cells.forEach((cell, k) => {
          const kind = isMistake(q, k) ? "bad" : inContext(k) ? "ctx" : "past";
          cell.className = mask[q][k] ? kind : "";
          cell.textContent = mask[q][k];
          cell.removeAttribute("aria-label");
        });
      });
      return mask;
    }
    function change(update) {
      Object.assign(state, update);
      context.set(state.context);
      const mask = paint();
      const all = length * length;
      const seen = mask.flat().reduce((sum, cell) => sum + cell, 0);
      const wrong = mask.flatMap((row, q) => row.filter((_, k) => isMistake(q, k))).length;
      view.describe(fill(words.count, { seen, all }) + (wrong ? " " + fill(words.wrong, { wrong, all }) : ""));
    }
    paint();
  }

  function blankPainter(figure, data, words) {
    if (!data.live) return;
    const length = data.text.length;
    const state = { start: data.start, size: data.length, kind: data.kind };
    const start = slider(words.start, 0, length - 1, state.start, (value) => change({ start: value }));
    const size = slider(words.length, 1, length, state.size, (value) => change({ size: value }));
    const kind = choice(words.kind, ["[MASK]", "[gMASK]"].map((key) => [key, words[key]]), state.kind, (value) => change({ kind: value }));
    const view = frame(figure, [start, size, kind], words.hint);
    const { rows, columns } = rove(view.picture, (q, k) => { view.tell(reason(q, k)); return reason(q, k); });
    const [parts, ...lines] = [...view.picture.querySelector("thead").rows].slice(1);
    let now = blank(length, state.start, state.size);
    const fits = new Map(now.tokens.map((token, i) => [token, columns[i].firstChild.className])); // each token is there once
    const names = { sop: "<sop>", eop: "<eop>" };
    const name = (token) => (token === "mask" ? state.kind : names[token] || data.text[token]);

    function reason(q, k) {
      const values = { q: name(now.tokens[q]), k: name(now.tokens[k]) };
      if (now.mask[q][k]) return fill(k < now.context ? words.by_part_a : words.by_order, values);
      return fill(q < now.context ? words.hidden_a : words.hidden_b, values);
    }
    function label(cell, token, ignored) {
      cell.textContent = token === null ? ignored : name(token);
      cell.className = token === null ? "" : "counts";
    }
    function paint() {
      parts.cells[1].colSpan = now.context;
      parts.cells[2].colSpan = now.tokens.length - now.context;
      now.tokens.forEach((token, i) => {
        columns[i].firstChild.textContent = name(token);
        columns[i].firstChild.className = fits.get(token);
        lines[0].cells[i + 1].textContent = now.positions[0][i];
        lines[1].cells[i + 1].textContent = now.positions[1][i];
        label(lines[2].cells[i + 1], now.labels[i], "-100");
        label(lines[3].cells[i + 1], i + 1 < now.labels.length ? now.labels[i + 1] : null, "");
        rows[i][0].parentNode.cells[0].firstChild.textContent = name(token);
        rows[i].forEach((cell, k) => {
          cell.className = now.mask[i][k] ? (k < now.context ? "ctx" : "past") : "";
          cell.textContent = now.mask[i][k];
          cell.removeAttribute("aria-label");
        });
      });
    }
    function change(update) {
      Object.assign(state, update);
      const most = length - state.start;
      state.size = state.kind === "[gMASK]" ? most : Math.min(state.size, most);
      start.set(state.start);
      size.set(state.size);
      size.element.querySelector("input").disabled = state.kind === "[gMASK]";
      now = blank(length, state.start, state.size);
      paint();
      const counted = now.labels.filter((token) => token !== null).length;
      view.describe(fill(words.read, {
        blank: data.text.slice(state.start, state.start + state.size).join(""), start: state.start,
        a: now.context, b: now.tokens.length - now.context, counted, ignored: now.tokens.length - counted,
      }));
    }
    change({});
    view.picture.scrollLeft = view.picture.scrollWidth; // on a phone: Part B first
  }

  function positionTable(figure, data, words) {
    const length = data.tokens.length;
    const control = slider(words.upto, 1, length, length, grow);
    const view = frame(figure, [control], words.hint);
    const columns = data.tokens.map((_, i) => [...view.picture.querySelectorAll("tr")].map((row) => row.cells[i + 1]));
    const [clock, blocks] = data.positions;

    function grow(upto) {
      control.set(upto);
      columns.forEach((cells, i) => cells.forEach((cell) => {
        cell.classList.toggle("later", i >= upto);
        cell.classList.toggle("at", i === upto - 1);
      }));
      const i = upto - 1;
      const values = { token: data.tokens[i], i, p: clock[i], b: blocks && blocks[i] };
      view.describe(fill(blocks ? words.read2 : words.read, values) + (blocks && i ? " " + moves(i) : ""));
    }
    function moves(i) {
      if (clock[i] === clock[i - 1] && blocks[i] > blocks[i - 1]) return words.still;
      return clock[i] > clock[i - 1] && blocks[i] === blocks[i - 1] ? fill(words.counts, { b: blocks[i] }) : "";
    }
  }

  /* Cells that say what they hold when they are pointed at; the choice between tables needs no script. */
  function cellTables(figure, data, words) {
    const label = figure.querySelector(".glm-picture").getAttribute("aria-label");
    const view = frame(figure, [], words.hint);
    figure.addEventListener("change", () => view.tell(words.hint)); // what was read is out of sight now
    const panels = [...view.picture.querySelectorAll(".glm-panel")];
    (panels.length ? panels : [view.picture]).forEach((panel, i) => {
      const cells = panel.querySelector("table").tBodies[0].rows;
      const told = [...cells].map((row) => [...row.cells].slice(1).map((cell) => cell.title));
      const name = Object.keys(data.tables)[i];
      rove(panel, (q, k) => { view.tell(told[q][k]); return told[q][k]; }, null, panels.length ? name : label);
    });
    view.picture.removeAttribute("tabindex");
  }

  /* Each grid says what its cells are; a choice between rounds needs no script. */
  function cacheRounds(figure, data, words) {
    const view = frame(figure, [], words.hint);
    figure.addEventListener("change", () => view.tell(words.hint));
    view.picture.querySelectorAll(".glm-one").forEach((one) => {
      const cells = [...one.querySelector("table").tBodies[0].rows].map((row) => [...row.cells].slice(1));
      const told = (l, k) => { const { title } = cells[l][k]; view.tell(title); return title; };
      rove(one, told, null, one.querySelector(".glm-model").textContent);
    });
    view.picture.removeAttribute("tabindex");
  }

  /* A radio in each cell of the table of switches, and the lines below say what the chosen ones make. */
  function switchboard(figure, data, words) {
    const state = Object.fromEntries(data.switches.map((name) => [name, data.start]));
    const names = Object.keys(data.models);
    const all = choice(words.all, Object.entries(data.models), data.start, (model) => {
      data.switches.forEach((name) => { state[name] = model; });
      change();
    });
    const view = frame(figure, [all], "");
    view.picture.removeAttribute("tabindex");
    const rows = [...view.picture.querySelector(".glm-switches").tBodies[0].rows];
    const inputs = rows.map((row, i) => [...row.cells].slice(1).map((cell, k) => {
      const input = make("input", { type: "radio", name: `glm-choice-${choices}-${i}`, value: names[k] });
      input.addEventListener("change", () => { state[data.switches[i]] = names[k]; change(); });
      const label = make("label", {}, input, cell.firstChild);
      cell.append(label);
      return input;
    }));
    choices += 1;

    function change() {
      inputs.forEach((row, i) => row.forEach((input) => {
        input.checked = input.value === state[data.switches[i]];
        input.closest("td").classList.toggle("now", input.checked);
      }));
      const set = new Set(data.switches.map((name) => state[name]));
      const inside = new Set(data.switches.slice(1).map((name) => state[name]));
      const [one] = inside;
      const labels = { model: data.models[one], size: data.models[state.size] };
      all.set(set.size === 1 ? one : null);
      const [parameters, bytes] = data.sums[data.counted.map((name) => state[name]).join(" ")];
      const changed = data.switches.flatMap((name) => {
        const [before, now] = [data.fields[name][data.start], data.fields[name][state[name]]];
        return now.filter((line) => !before.includes(line));
      });
      const lines = {
        who: set.size === 1 ? labels.model : inside.size === 1 ? fill(words.sized, labels) : words.mixed,
        parameters: parameters.toLocaleString("en-US"),
        cache: fill(words.bytes, { n: bytes.toLocaleString("en-US"), kib: bytes / 1024 }),
        shapes: data.shapes.map((row) => `${row.tensor} [${row.of[state[row.switch]]}]`).join(" · "),
        changed: changed.join(" · ") || words.nothing,
      };
      Object.entries(lines).forEach(([name, text]) => { view.picture.querySelector(`[data-sum=${name}]`).textContent = text; });
      const map = inside.size === 1 && data.maps.includes(one) ? one : "none";
      view.picture.querySelectorAll("[data-map]").forEach((part) => { part.hidden = part.dataset.map !== map; });
    }
    change();
  }

  /* Each token at its place, and the same as rows of ids, for the way to count and the sequence that are chosen. */
  function clockPlane(figure, data, words) {
    const state = { way: data.chosen, at: data.at };
    const names = Object.keys(data.ways);
    const last = data.ways[names[0]].length - 1;
    const way = choice(words.way, names.map((name) => [name, name]), state.way, (name) => change({ way: name }));
    const place = slider(words.place, 0, last, state.at, (at) => change({ at }));
    const view = frame(figure, [...(names.length > 1 ? [way] : []), ...(last ? [place] : [])], ""); // no control for one
    const [plane, ids] = view.picture.querySelectorAll("table");
    const shown = (text) => (text ? [make("span", [...text].length > 3 ? { class: "up" } : {}, text)] : []);

    function change(update) {
      Object.assign(state, update);
      place.set(state.at);
      const { tokens, positions, parts } = data.ways[state.way][state.at];
      const blocks = positions[1] || tokens.map(() => 0); // with one clock all lie on the ground
      [...plane.tBodies[0].rows].slice(0, data.rows).forEach((row, r) => [...row.cells].slice(1).forEach((cell, column) => {
        const here = tokens.map((_, i) => i).filter((i) => positions[0][i] === column && blocks[i] === data.rows - 1 - r);
        cell.className = here.length ? parts[here[here.length - 1]] : "";
        cell.replaceChildren(...shown(here.length > 1 ? here.length + "×" : here.length ? tokens[here[0]] : ""));
      }));
      const [head, ...rows] = [...ids.rows];
      const spare = () => Array.from({ length: data.longest - tokens.length }, () => make("td"));
      head.replaceChildren(head.cells[0], ...tokens.map((token, i) => make("th", { scope: "col", class: parts[i] }, ...shown(token))), ...spare());
      rows.forEach((row, c) => row.replaceChildren(row.cells[0], ...tokens.map((_, i) => make("td", {}, positions[c] ? String(positions[c][i]) : "")), ...spare()));
      const clocks = positions.map((clock, c) => [words.position, words.block][c] + " " + clock.join(" ")).join(", ");
      view.describe(fill(words.read, { way: state.way, tokens: tokens.join(" "), clocks }));
      const answer = tokens.map((_, i) => i).filter((i) => parts[i] === "answer");
      const places = [...new Set(answer.map((i) => positions[0][i]))];
      const said = places.length > 1 ? words.moves : blocks[answer[0]] ? words.still : words.heap;
      const mark = parts.indexOf("mark");
      view.tell(fill(said, { n: answer.length, p: positions[0][mark], mark: tokens[mark], places: places.join(", ") }));
    }
    change({});
  }

  /* Two sliders turn the hands of every dial: together, which changes no number, and apart, which walks the curve. */
  function rotaryClocks(figure, data, words) {
    const shift = slider(words.shift, 0, data.shifts, data.shift, go);
    const view = frame(figure, [shift], words.hint);
    const rows = [...view.picture.querySelectorAll(".glm-dials")].map((row) => row.querySelectorAll(".glm-dial:not(.rest)"));
    const said = view.picture.querySelectorAll(".glm-score-now");
    const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

    function turn(hand, angle) {
      const length = Number(hand.dataset.length);
      hand.setAttribute("d", `M0 0L${(length * Math.cos(angle)).toFixed(1)} ${(-length * Math.sin(angle)).toFixed(1)}`);
    }
    function go(by) {
      shift.set(by);
      data.distances.forEach((distance, row) => {
        const now = rotaryHands(data, by, distance);
        rows[row].forEach((dial, i) => {
          turn(dial.querySelector(".query"), now.angles[i][0]);
          turn(dial.querySelector(".key"), now.angles[i][1]);
          dial.querySelector("b").textContent = signed(now.parts[i]);
        });
        said[row].textContent = fill(words.read, { d: distance, k: by, q: by + distance, s: signed(now.score) });
      });
      view.describe(fill(words.shifted, { by }));
    }
  }

  function shapeFlow(figure, data, words) {
    const groupName = (group) => (/^\d+$/.test(group) ? fill(words.block, { i: group }) : words[group]);
    const part = choice(words.part, data.groups.map((group) => [group, groupName(group)]), data.rows[0].group,
      (group) => show(data.rows.findIndex((row) => row.group === group)));
    const step = slider(words.step, 1, data.rows.length, 1, (value) => show(value - 1));
    const view = frame(figure, [part, step], "");
    const sections = [...view.picture.querySelectorAll("[data-group]")];
    const items = [...view.picture.querySelectorAll("li")];
    sections.forEach((section) => { if (section.tagName === "DETAILS") section.open = true; });

    function show(index) {
      const row = data.rows[index];
      part.set(row.group);
      step.set(index + 1);
      sections.forEach((section) => { section.hidden = section.dataset.group !== row.group; });
      items.forEach((item, i) => item.classList.toggle("at", i === index));
      const axes = row.letters.filter((_, i) => row.new[i]).join(" ");
      const change = axes ? fill(words.new, { axes }) : words.kept;
      view.tell(`${row.full}: ${row.letters.join(" ")} = ${row.shape.join(" × ")}. ${change}`);
    }
    show(0);
  }

  /* ---- plotly: one file, loaded once, only where a figure needs it ---- */

  let loading = null;
  const plots = [];

  function loadPlotly() {
    loading = loading || new Promise((resolve, reject) => {
      if (window.Plotly) { resolve(window.Plotly); return; }
      const script = make("script", { src: base + "plotly.min.js" });
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("plotly.min.js is not beside live.js; the static drawing stays"));
      document.head.append(script);
    });
    return loading;
  }

  function themed(figure, data) {
    const style = getComputedStyle(figure);
    const colour = (name) => style.getPropertyValue("--g-" + name).trim();
    const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line") };
    const layout = {
      ...data.layout,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, autosize: true,
      font: { family: colour("sans"), size: 13, color: colour("soft") },
      hoverlabel: { bgcolor: colour("wash"), bordercolor: colour("line"), font: { color: colour("ink") } },
      xaxis: { ...data.layout.xaxis, ...axis, fixedrange: true },
      yaxis: { ...data.layout.yaxis, ...axis, fixedrange: true },
    };
    const traces = data.data.map((trace) => {
      const hue = trace.meta && trace.meta.colour ? colour(trace.meta.colour) : null;
      return hue ? { ...trace, line: { ...trace.line, color: hue }, marker: { ...trace.marker, color: hue } } : trace;
    });
    return [traces, layout];
  }

  async function plotly(figure, data) {
    const Plotly = await loadPlotly();
    const still = figure.querySelector(".glm-picture");
    const target = make("div", { class: "glm-plot", role: "img", "aria-label": still.getAttribute("aria-label") });
    still.before(target);
    still.hidden = true;
    const draw = () => Plotly.react(target, ...themed(figure, data), { responsive: true, displayModeBar: false });
    await draw();
    plots.push(draw);
  }

  /* ---- mounting ---- */

  const still = () => {}; // all that it does, it does without a script

  const KINDS = {
    attention_map: attentionMap,
    attention_film: attentionFilm,
    mask_painter: maskPainter,
    blank_painter: blankPainter,
    position_table: positionTable,
    shape_flow: shapeFlow,
    cells: cellTables,
    cache_rounds: cacheRounds,
    multiples: cacheRounds,
    clock_plane: clockPlane,
    switchboard,
    rotary_clocks: rotaryClocks,
    plotly,
    token_strip: still,
    drawing: still,
    module_trees: still,
    side_by_side: still,
    choices: still,
  };
  const mounted = new WeakSet();

  async function mount(figure) {
    const draw = KINDS[figure.dataset.figure];
    if (!draw || mounted.has(figure)) return;
    mounted.add(figure);
    const { data, words } = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    try {
      await draw(figure, data, words);
      figure.classList.add("glm-live");
      figure.dataset.ready = "1";
    } catch (problem) {
      console.warn(problem); // the static picture is still there
    }
  }

  function start() {
    const figures = document.querySelectorAll("figure.glm-figure[data-figure]");
    const near = new IntersectionObserver((entries) => {
      entries.filter((entry) => entry.isIntersecting).forEach((entry) => { near.unobserve(entry.target); mount(entry.target); });
    }, { rootMargin: "600px" });
    figures.forEach((figure) => near.observe(figure));
    new MutationObserver(() => plots.forEach((draw) => draw()))
      .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
  }

  window.glm = { mount, visible, maskOf, positions, slide, blank, unpack, rotaryHands };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
