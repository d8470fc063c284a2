// What the page remembers across a reload: one JSON object in the browser's storage. Knows no meaning of its entries.

const KEY = "parley";

export class Memory {
  #storage;
  #entries;

  constructor(storage) {
    this.#storage = storage;
    this.#entries = read(storage);
  }

  get(name, fallback) {
    return this.#entries[name] ?? fallback;
  }

  set(name, value) {
    this.#entries[name] = value;
    try {
      this.#storage.setItem(KEY, JSON.stringify(this.#entries));
    } catch {
      // Storage is full or forbidden: the page works on, it only forgets.
    }
  }
}

function read(storage) {
  try {
    return JSON.parse(storage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
