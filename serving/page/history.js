// Earlier predictions, newest first. Knows how to list them; what to do with one is the page's matter.
//
// Events: "open" and "reuse", detail: the prediction as the list has it.

import { moment, seconds } from "./clock.js";
import { coloured } from "./colours.js";
import { byId, element } from "./element.js";
import { patiently } from "./patience.js";
import { isGoing, isSpeech, otherModelOf, wordsOf } from "./record.js";

const SHOWN = 240; // characters of a script; the style sheet cuts what is still too long
const LABEL = 60; // characters of it in a button's name
const LOOK_AGAIN = 5000; // ms, while one of them is not over
const WORDS = { starting: "waiting", processing: "speaking", failed: "failed", canceled: "cancelled" };

export class History extends EventTarget {
  #api;
  #lends;
  #records = new Map(); // by id
  #cursor = null; // of the page behind the last one shown
  #pages = 0;
  #timer = null;
  #refreshing = null;
  #list = byId("takes");
  #more = byId("more");

  /** lends(record): whether there is a form that its inputs fit. */
  constructor(api, lends) {
    super();
    this.#api = api;
    this.#lends = lends;
    this.#more.addEventListener("click", () => this.#load(this.#cursor));
    this.#list.addEventListener("click", ({ target }) => this.#chosen(target.closest("button")));
  }

  /** Ask for the newest again; older ones that are shown stay. Whoever asks meanwhile waits for the same answer. */
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** A newer state of one of them. */
  update(record) {
    if (this.#records.get(record.id)?.status === record.status) return;
    this.#records.set(record.id, record);
    this.#show();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    await this.#load(null);
    if ([...this.#records.values()].some(isGoing)) this.#timer = setTimeout(() => this.refresh(), LOOK_AGAIN);
  }

  async #load(cursor) {
    const say = (problem) => this.#say(problem);
    try {
      this.#keep(await patiently(() => this.#api.predictions(cursor), { say }), cursor !== null);
      this.#say("");
    } catch (error) {
      this.#say(error.message);
      this.#offerMore("Try again");
    }
  }

  #keep({ results, cursor }, older) {
    for (const record of results) this.#records.set(record.id, record);
    if (older || this.#pages === 0) this.#cursor = cursor;
    this.#pages += Number(older || this.#pages === 0);
    this.#show();
  }

  #show() {
    const { activeElement } = document;
    const held = this.#list.contains(activeElement) ? activeElement.dataset : null;
    const records = [...this.#records.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
    this.#list.replaceChildren(...records.map((record) => take(record, this.#lends(record))));
    byId("history").hidden = records.length === 0;
    if (held) this.#list.querySelector(`[data-id="${held.id}"][data-does="${held.does}"]`)?.focus();
    this.#offerMore(this.#cursor && "Load more");
    if (activeElement === this.#more && !this.#cursor) this.#list.querySelector("li:last-child button")?.focus();
  }

  #offerMore(words) {
    this.#more.hidden = !words;
    this.#more.textContent = words;
  }

  #chosen(button) {
    if (!button) return;
    const detail = this.#records.get(button.dataset.id);
    this.dispatchEvent(new CustomEvent(button.dataset.does, { detail }));
  }

  #say(problem) {
    byId("history").hidden &&= !problem;
    byId("history-problem").textContent = problem;
    byId("history-problem").hidden = !problem;
  }
}

/** Of one that ended otherwise no audio is kept. */
function isHeard(record) {
  return record.status === "succeeded" || isGoing(record);
}

function take(record, isLent) {
  const words = wordsOf(record).slice(0, SHOWN);
  const script = element("p", { className: "take-text" }, ...(isSpeech(record) ? coloured(words) : [words]));
  const facts = element("p", { className: "help" }, factsOf(record).join(" · "));
  const verb = isHeard(record) ? "Listen" : "Show";
  const open = buttonFor(record, "open", verb, "round");
  const reuse = buttonFor(record, "reuse", "Use inputs", "quiet");
  open.title = verb;
  open.replaceChildren(byId(`${verb.toLowerCase()}-icon`).content.cloneNode(true));
  open.hidden = Boolean(record.data_removed);
  reuse.hidden = open.hidden || !isLent;
  return element("li", { className: "take" }, open, element("div", {}, script, facts), reuse);
}

function factsOf(record) {
  const { status, created_at: created, metrics, data_removed: removed } = record;
  const length = metrics?.audio_seconds && !isGoing(record) ? seconds(metrics.audio_seconds) : "";
  const state = status === "processing" && !isSpeech(record) ? "being made" : WORDS[status];
  const gone = removed ? "its inputs are no longer kept" : "";
  return [moment(created), otherModelOf(record), length, state, gone].filter(Boolean);
}

function buttonFor(record, does, verb, className) {
  const label = `${verb}: ${wordsOf(record).slice(0, LABEL) || otherModelOf(record)}`;
  return element("button", { type: "button", className, "data-id": record.id, "data-does": does, "aria-label": label }, verb);
}
