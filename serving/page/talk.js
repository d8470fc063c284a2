// The card to talk at: a button to hold, what is going on, what was said. Knows a Conversation; knows no socket and no
// microphone.
//
// Events: "begin" (somebody is about to be heard), "choose" (there is another voice).

import { announce } from "./announcer.js";
import { Conversation } from "./conversation.js";
import { byId, element } from "./element.js";
import { Holding } from "./holding.js";
import { Microphone } from "./microphone.js";
import { Voices } from "./voices.js";

const KEPT = 50; // turns that are shown
const BUSY = new Set(["connecting", "listening", "thinking", "speaking"]);
const WORDS = {
  off: "The microphone is off",
  connecting: "Connecting… Allow the microphone if you are asked",
  ready: "Ready when you hold",
  listening: "Listening…",
  latched: "Listening… Press again when all is said",
  thinking: "Writing down what you said…",
  understood: "Finding the voice…",
  speaking: "Speaking…",
};
const IMPOSSIBLE = "Browsers lend a microphone only to pages by https, or of this computer. Open this page by https to talk.";

export class Talk extends EventTarget {
  #conversation;
  #holding = new Holding(byId("talk-hold"));
  #voices;
  #level = byId("talk-level");
  #phase = "off";
  #shown = null; // the Turn whose words stand first in the list

  /** voice: as `this.voice` was. */
  constructor(api, voice) {
    super();
    this.#voices = new Voices(api, voice);
    this.#conversation = new Conversation(api, this.voice);
    this.#listen();
    this.#show();
    if (!Microphone.possible) this.#refuse();
  }

  get voice() {
    return this.#voices.chosen;
  }

  /** Offer the voices that are stored by now. */
  refresh() {
    return this.#voices.refresh();
  }

  /** Whether there is something to cancel. */
  get busy() {
    return BUSY.has(this.#conversation.state);
  }

  cancel() {
    this.#conversation.cancel();
  }

  /** Let everything go. */
  end() {
    this.#conversation.end();
  }

  #listen() {
    const conversation = this.#conversation;
    conversation.addEventListener("begin", () => this.dispatchEvent(new Event("begin")));
    conversation.addEventListener("change", () => this.#show());
    conversation.addEventListener("level", () => (this.#level.value = Math.sqrt(conversation.level)));
    this.#holding.addEventListener("press", () => {
      conversation.voice = this.voice;
      conversation.press();
    });
    this.#holding.addEventListener("release", () => conversation.release());
    this.#holding.addEventListener("latch", () => this.#show());
    byId("talk-cancel").addEventListener("click", () => this.cancel());
    byId("talk-end").addEventListener("click", () => this.end());
    this.#voices.addEventListener("choose", () => this.dispatchEvent(new Event("choose")));
  }

  #show() {
    const { state, problem, turn } = this.#conversation;
    if (this.#holding.held && !["connecting", "listening"].includes(state)) this.#holding.reset();
    byId("talk").dataset.talk = state;
    this.#describe(state, turn);
    this.#write(turn);
    const place = byId("problem-talk");
    place.textContent = problem;
    place.hidden = !problem;
    this.#offer(state);
  }

  /** A reader hears of each phase, but of "speaking", over which it would speak itself. */
  #describe(state, turn) {
    const latched = state === "listening" && this.#holding.latched;
    const phase = latched ? "latched" : turn?.understood && state === "thinking" ? "understood" : state;
    byId("talk-state").textContent = WORDS[phase];
    if (phase === this.#phase) return;
    this.#phase = phase;
    if (phase === "understood") announce(`You said: ${turn.text}`);
    else if (phase !== "speaking") announce(WORDS[phase]);
  }

  /** The words of the turn, as they come, above those of the turns before it. */
  #write(turn) {
    if (!turn?.text) return;
    const list = byId("talk-turns");
    if (turn !== this.#shown) list.prepend(element("li"));
    this.#shown = turn;
    list.firstChild.textContent = turn.text;
    if (list.children.length > KEPT) list.lastChild.remove();
  }

  #offer(state) {
    const { activeElement } = document;
    byId("talk-cancel").hidden = !this.busy;
    byId("talk-end").hidden = this.#level.hidden = state === "off" || state === "connecting";
    if (activeElement?.matches("#talk-cancel[hidden], #talk-end[hidden]")) byId("talk-hold").focus();
  }

  /** There is no way to talk here. */
  #refuse() {
    for (const id of ["talk-controls", "help-talk"]) byId(id).hidden = true;
    byId("problem-talk").textContent = IMPOSSIBLE;
    byId("problem-talk").hidden = false;
  }
}
