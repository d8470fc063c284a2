// A text that is being written, and how long it is. Knows no mark in it, no field and no request.

export class Writing {
  #count;
  #measured;

  /** root: around a textarea and its .count. changed(text) hears every change; measured(text): its length in words. */
  constructor(root, text, changed, measured = charactersOf) {
    this.root = root;
    this.area = root.querySelector("textarea");
    this.#count = root.querySelector(".count");
    this.#measured = measured;
    this.area.value = text;
    this.area.addEventListener("input", () => {
      this.#measure();
      changed(this.value);
    });
    this.#measure();
  }

  get value() {
    return this.area.value;
  }

  /** Another text instead; the browser's undo brings the old one back. */
  replace(text) {
    this.area.focus();
    this.area.select();
    this.type(text);
  }

  /** Put in as if typed, so that undo works; where a browser has given that command up, without undo. */
  type(text) {
    if (document.execCommand("insertText", false, text)) return;
    this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, "end");
    this.area.dispatchEvent(new Event("input"));
  }

  #measure() {
    this.#count.textContent = this.#measured(this.value);
    this.#count.hidden = this.value === "";
  }
}

/** "1 character", "12 characters". */
function charactersOf({ length }) {
  return `${length} character${length === 1 ? "" : "s"}`;
}
