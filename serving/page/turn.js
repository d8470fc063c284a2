// One turn of talk: heard, written down, said again in a voice. Knows the server's events of it; knows no microphone, no
// element, and of the connection only how to send.
//
// Events: "change" (state or text), "over" (detail: what went wrong, in words; "" if nothing did).

import { fromBase64, toBase64 } from "./pcm.js";
import { Sound } from "./sound.js";

const FAINT = 0.001; // −60 dB: nothing below is a voice
const SILENT = "No sound came from the microphone. Check that it is not muted, then hold again.";
const NO_WORDS = "No word was understood. Hold the button and say it again.";
export const OWN_VOICE = "own"; // that of the words themselves; any other is a voice of the server, by its name or its id

export class Turn extends EventTarget {
  static #count = 0;
  #id = `turn_${(Turn.#count += 1)}`;
  #send;
  #player;
  #voice;
  #item = null; // the server's id of what was said
  #response = null; // and of what is said again
  #problem = "";
  #loudest = 0;
  #sound = new Sound();
  /** listening, thinking, speaking or over. */
  state = "listening";
  /** What was said, as far as it is understood. */
  text = "";
  /** Whether it is understood to its end. */
  understood = false;

  /** send(type, fields): to the server. rate: of what it sends back, in Hz. */
  constructor(voice, send, player, rate) {
    super();
    this.#voice = voice;
    this.#send = (type, fields) => send(type, { event_id: this.#id, ...fields });
    this.#player = player;
    this.#sound.sampleRate = rate;
  }

  /** level: the loudest of these samples, 0-1. */
  hear(samples, level) {
    this.#loudest = Math.max(this.#loudest, level);
    this.#send("input_audio_buffer.append", { audio: toBase64(samples) });
  }

  /** All is said. */
  commit() {
    this.#send("input_audio_buffer.commit");
    this.#be("thinking");
  }

  /** The server has named what was said. */
  name(item) {
    this.#item = item;
    if (this.state === "over") this.#send("conversation.item.delete", { item_id: item });
  }

  /** Nobody wants it any more. */
  drop() {
    if (this.state === "listening") this.#send("input_audio_buffer.clear");
    if (this.understood && !this.#sound.whole) this.#send("response.cancel");
    else if (this.#item && !this.understood) this.#send("conversation.item.delete", { item_id: this.#item });
    this.state = "over";
    this.#player.pause();
  }

  /** An event of the server's, perhaps of this turn. */
  take(event) {
    Turn.#TAKERS[event.type]?.(this, event);
  }

  /** The player plays, waits or has come to the end. */
  played() {
    if (this.state === "speaking" && !this.#player.playing) this.#end(this.#problem);
  }

  static #TAKERS = {
    error: (turn, { error }) => error.event_id === turn.#id && turn.#end(error.message),
    "conversation.item.input_audio_transcription.delta": (turn, event) => turn.#reads(event, turn.text + event.delta),
    "conversation.item.input_audio_transcription.completed": (turn, event) => turn.#understands(event),
    "conversation.item.input_audio_transcription.failed": (turn, { item_id: item, error }) =>
      item === turn.#item && turn.#end(error.message),
    "response.created": (turn, { response }) => {
      if (response.metadata?.turn === turn.#id) turn.#response = response.id;
    },
    "response.output_audio.delta": (turn, event) => event.response_id === turn.#response && turn.#sounds(event.delta),
    "response.done": (turn, { response }) => response.id === turn.#response && turn.#isAnswered(response),
  };

  #reads({ item_id: item }, text) {
    if (item !== this.#item) return;
    this.text = text;
    this.#tell();
  }

  #understands(event) {
    if (event.item_id !== this.#item) return;
    this.understood = true;
    this.#reads(event, event.transcript.trim());
    if (!this.text) return this.#end(this.#loudest < FAINT ? SILENT : NO_WORDS);
    const voice = this.#voice === OWN_VOICE ? { id: this.#item } : this.#voice;
    const input = [{ type: "item_reference", id: this.#item }];
    const response = { input, audio: { output: { voice } }, metadata: { turn: this.#id } };
    return this.#send("response.create", { response });
  }

  #sounds(delta) {
    this.#sound.append(fromBase64(delta));
    if (this.state !== "thinking") return;
    this.#player.load(this.#sound);
    this.#be("speaking");
    this.#player.play();
  }

  /** What there is of it is heard to its end. */
  #isAnswered({ status, status_details: details }) {
    this.#sound.whole = true;
    this.#problem = status === "failed" ? details.error.message : "";
    if (this.state === "thinking") this.#end(this.#problem);
  }

  #be(state) {
    this.state = state;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  #end(problem) {
    this.state = "over";
    this.dispatchEvent(new CustomEvent("over", { detail: problem }));
  }
}
