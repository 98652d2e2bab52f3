/* A page with a .find-rows gets a search box there, for the rows of its tables: rows in which a typed word does not
   stand are hidden, and so is a section whose rows are all hidden, but for its heading. Without this script the
   tables stand whole. What is typed is compared as text, never read as a pattern or as markup. */
document.addEventListener("DOMContentLoaded", () => {
  const make = (tag, values) => Object.assign(document.createElement(tag), values);

  // A name as code has it may say more than a table does: self., a layer's number, .weight, an opening bracket.
  const forms = (word) => {
    const bare = word.replace(/^self\.|\.(weight|bias)$|\(.*$/g, "");
    return [word, bare, bare.replace(/\.\d+(?=\.)/g, ".{i}")].filter(Boolean);
  };

  document.querySelectorAll(".find-rows").forEach((place) => {
    const rows = [...document.querySelectorAll(".bd-article tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() }));
    const sections = [...document.querySelectorAll(".bd-article section section")].filter((section) => section.querySelector("tbody"));
    const label = make("label", { htmlFor: "find-rows", textContent: place.dataset.label });
    const input = make("input", { id: "find-rows", type: "search", autocomplete: "off", spellcheck: false });
    const count = make("output", { htmlFor: "find-rows" });
    input.setAttribute("autocapitalize", "off");

    const find = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean).map(forms);
      let found = 0;
      for (const { row, text } of rows) {
        row.hidden = !words.every((word) => word.some((form) => text.includes(form)));
        found += !row.hidden;
      }
      for (const section of sections) section.classList.toggle("no-row", !section.querySelector("tbody tr:not([hidden])"));
      count.textContent = words.length ? `${found} of ${rows.length} rows` : `${rows.length} rows`;
    };
    // A long name breaks behind a dot or an underscore and before a word of CamelCase, if it has to.
    document.querySelectorAll(".bd-article td code .pre").forEach((name) => {
      const parts = name.textContent.replace(/[._]+|(?=[A-Z][a-z])/g, "$&\n").split("\n");
      name.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]));
    });

    input.addEventListener("input", find);
    input.addEventListener("keydown", (event) => { if (event.key === "Escape") { input.value = ""; find(); } });
    place.append(label, input, count);
    find();
  });
});
