// What has become of one prediction: its state, its sound, its notes, its files. Knows a Prediction; asks for nothing
// but the files to download.

import { clock, seconds } from "./clock.js";
import { coloured } from "./colours.js";
import { byId, element } from "./element.js";
import { Player } from "./player.js";
import { Waveform } from "./waveform.js";

const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const DRAW_EVERY = 30; // ms between pictures while it plays
const CALM_EVERY = 500; // ms, where less motion is wanted
const NOTE = /^note: (.*)$/gm;

export class Result {
  #api;
  #root = byId("result");
  #play = byId("play");
  #waveform = new Waveform(byId("waveform"));
  #prediction = null;
  #announced = "";
  #drawn = 0; // ms, when the picture was last made
  #frame = 0; // the animation frame that is asked for
  player = new Player();

  constructor(api) {
    this.#api = api;
    this.#play.addEventListener("click", () => (this.player.playing ? this.player.pause() : this.player.play()));
    this.#waveform.addEventListener("seek", ({ detail }) => this.player.seek(detail));
    this.player.addEventListener("change", () => this.#draw());
  }

  /** formats: what a download may be. */
  offer(formats) {
    const buttons = formats.map((format) => element("button", { type: "button", className: "small" }, format));
    buttons.forEach((button) => button.addEventListener("click", () => this.#download(button)));
    byId("downloads").append(...buttons);
  }

  /** Show this prediction from now on. */
  show(prediction) {
    this.#prediction?.leave();
    this.#prediction = prediction;
    this.player.load(prediction.sound);
    this.#waveform.show(prediction.sound);
    this.#root.hidden = false;
    byId("result-text").replaceChildren(...coloured(scriptOf(prediction.record)));
    prediction.addEventListener("audio", () => this.#draw());
    prediction.addEventListener("change", () => this.#describe());
    prediction.addEventListener("lost", () => this.#state("No answer from the server. Trying again…"));
    this.#describe();
    this.#draw();
  }

  /** What went wrong on this page's side. */
  fail(message) {
    byId("result-error").textContent = message;
    byId("result-error").hidden = !message;
  }

  #describe() {
    const { record, ended } = this.#prediction;
    const { metrics, logs } = record;
    this.#root.dataset.status = record.status;
    this.#state(stateOf(record));
    const bar = byId("progress");
    bar.hidden = ended;
    if (record.status === "starting") bar.removeAttribute("value");
    else bar.value = metrics?.progress ?? 0;
    byId("downloads").hidden = !record.output;
    this.fail(record.error ?? "");
    byId("logs").textContent = logs ?? "";
    byId("logs-frame").hidden = !logs;
    const notes = [...(logs ?? "").matchAll(NOTE)].map(([, note]) => element("li", {}, note));
    byId("notes").replaceChildren(...notes);
    byId("notes").hidden = !notes.length;
  }

  /** For the eye at once; for the ear only when it begins another phase, or another quarter is done. */
  #state(text) {
    byId("state").textContent = text;
    const { status, metrics } = this.#prediction.record;
    const phase = `${status} ${metrics?.queue_position ?? ""} ${Math.floor(4 * (metrics?.progress ?? 0))}`;
    if (phase === this.#announced) return;
    this.#announced = phase;
    byId("announcer").textContent = text;
  }

  #draw() {
    const { sound } = this.#prediction;
    const { playing, waiting, position } = this.player;
    this.#drawn = performance.now();
    this.#waveform.draw(position);
    byId("time").textContent = `${clock(position)} / ${clock(sound.seconds)}`;
    this.#play.disabled = sound.length === 0 && !playing;
    this.#play.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.#root.dataset.playing = playing ? (waiting ? "waiting" : "yes") : "no";
    if (playing && !waiting) this.#animate();
  }

  #animate() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const due = this.#drawn + (CALM.matches ? CALM_EVERY : DRAW_EVERY);
      if (performance.now() >= due) this.#draw();
      else this.#animate();
    });
  }

  /** Fetched and not linked, because a link carries no token. */
  async #download(button) {
    const format = button.textContent;
    button.disabled = true;
    try {
      const response = await this.#api.audio(this.#prediction.id, format);
      const href = URL.createObjectURL(await response.blob());
      element("a", { href, download: `parley-${this.#prediction.id}.${format}` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60_000); // when the browser has certainly begun to save it
    } catch (error) {
      this.fail(error.message);
    }
    button.disabled = false;
  }
}

/** What it says; nothing where the server has forgotten it. */
function scriptOf({ input }) {
  return input?.text ?? "";
}

/** How it stands, in a few words. */
function stateOf(record) {
  const { status } = record;
  const metrics = record.metrics ?? {};
  const made = metrics.audio_seconds ? `${seconds(metrics.audio_seconds)} of audio` : "";
  const took = metrics.predict_time ? ` in ${seconds(metrics.predict_time)}` : "";
  const parts = {
    starting: ["Waiting to begin", metrics.queue_position && `number ${metrics.queue_position} in the queue`],
    processing: ["Speaking", metrics.progress !== undefined && `${Math.floor(100 * metrics.progress)} %`, made],
    succeeded: ["Done", made && made + took, metrics.seed !== undefined && `seed ${metrics.seed}`],
    failed: ["Failed"],
    canceled: ["Cancelled", made],
    aborted: ["Not begun before its deadline"],
  }[status];
  return (parts ?? [status]).filter(Boolean).join(" · ");
}
