// Talk in turns: a microphone, a socket and a player that are opened at the first press and let go at the end, and the
// turn that is under way. Knows no element, and of the server's events only what opens a session and names a turn.
//
// Events: "change" (state, problem or words), "level", "begin" (somebody is about to be heard).

import { Line } from "./line.js";
import { Microphone } from "./microphone.js";
import { Player } from "./player.js";
import { Turn } from "./turn.js";

const RATE = 24_000; // Hz, of 16-bit PCM both ways
const TAIL = 0.2 * RATE; // samples that are still heard after the button is up: the last word is on its way
const REST = 60_000; // ms that the microphone stays open with nobody talking
const FULL_SCALE = 32_768;
const SESSION = {
  type: "realtime",
  audio: { input: { turn_detection: null, transcription: { model: "whisper-1" } } }, // a turn ends with the button
};
const UNPLUGGED = "The microphone is gone. Connect it, or allow it again, then hold the button.";

export class Conversation extends EventTarget {
  #api;
  #microphone = null;
  #line = null;
  #opening = null; // AbortController, while it connects
  #player = new Player();
  #held = false;
  #tail = 0; // samples still to be heard
  #unnamed = []; // turns whose items the server has not named yet, in the order of their commits
  #resting = null;
  /** What went wrong last, and the way out; "" if nothing did. */
  problem = "";
  /** The loudest moment of the last few milliseconds, 0-1. */
  level = 0;
  /** The Turn that is under way, or null. */
  turn = null;
  /** Of the next turns: OWN_VOICE, or a voice of the server by its name or its id. */
  voice;

  constructor(api, voice) {
    super();
    this.#api = api;
    this.voice = voice;
    this.#player.addEventListener("change", () => this.turn?.played());
  }

  /** off, connecting, ready, listening, thinking or speaking. */
  get state() {
    if (this.#opening) return "connecting";
    return this.turn?.state ?? (this.#line ? "ready" : "off");
  }

  /** The button is down: listen as soon as can be. What is under way gives way. */
  async press() {
    this.#held = true;
    if (this.#opening || this.state === "listening") return; // listening still: it was up for a moment
    this.dispatchEvent(new Event("begin"));
    this.#drop();
    this.#player.unlock(RATE);
    if (!this.#line && !(await this.#open())) return;
    if (this.#held) this.#listen();
    else this.#tell();
  }

  /** The button is up. */
  release() {
    this.#held = false;
    this.#tail = TAIL;
  }

  /** Forget the turn that is under way, or stop connecting. */
  cancel() {
    this.#held = false;
    if (this.#opening) return this.end();
    this.#drop();
    return this.#tell();
  }

  /** Let everything go: the microphone, the socket, the speakers. */
  end(problem = "") {
    this.#held = false;
    this.turn = null; // before the player stops, which would be taken for its end
    this.#opening?.abort();
    this.#line?.close();
    this.#microphone?.close();
    this.#player.close();
    this.#opening = this.#line = this.#microphone = null;
    this.#unnamed = [];
    this.#tell(problem);
  }

  /** Whether it is connected now; if not, why has been told. */
  async #open() {
    const opening = (this.#opening = new AbortController());
    this.#tell();
    try {
      await this.#connect(opening.signal);
    } catch (error) {
      if (!opening.signal.aborted) this.end(error.message);
      return false;
    }
    this.#opening = null;
    return true;
  }

  /** The microphone first: where there is none, no token need be asked for. */
  async #connect(signal) {
    const microphone = await Microphone.open(RATE, signal);
    this.#microphone = microphone;
    microphone.addEventListener("block", ({ detail }) => this.#hear(detail));
    microphone.addEventListener("lost", () => this.end(UNPLUGGED));
    const line = await this.#api.admitted((token) => Line.open(token, signal));
    this.#line = line;
    line.addEventListener("event", ({ detail }) => this.#take(detail));
    line.addEventListener("lost", ({ detail }) => this.end(detail));
    line.send("session.update", { session: SESSION });
  }

  #listen() {
    const turn = new Turn(this.voice, (type, fields) => this.#line?.send(type, fields), this.#player, RATE);
    turn.addEventListener("change", () => this.#tell());
    turn.addEventListener("over", ({ detail }) => this.#isOver(detail));
    this.turn = turn;
    this.#tell();
  }

  #hear(samples) {
    this.level = samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0) / FULL_SCALE;
    this.dispatchEvent(new Event("level"));
    if (this.state !== "listening") return;
    this.turn.hear(samples, this.level);
    if (this.#held) return;
    this.#tail -= samples.length;
    if (this.#tail > 0) return;
    this.#unnamed.push(this.turn);
    this.turn.commit();
  }

  #take(event) {
    if (event.type === "input_audio_buffer.committed") this.#unnamed.shift()?.name(event.item_id);
    else this.turn?.take(event);
  }

  #isOver(problem) {
    this.#unnamed = this.#unnamed.filter((turn) => turn !== this.turn); // what is refused is never named
    this.turn = null;
    this.#tell(problem);
  }

  #drop() {
    const { turn } = this;
    this.turn = null;
    turn?.drop();
  }

  #tell(problem = "") {
    this.problem = problem;
    clearTimeout(this.#resting);
    if (this.state === "ready") this.#resting = setTimeout(() => this.end(), REST);
    this.dispatchEvent(new Event("change"));
  }
}
