// What has become of one prediction: its state, its sound, its notes, its files. Knows a Prediction; asks for nothing
// but the files to download.

import { announce } from "./announcer.js";
import { clock, seconds } from "./clock.js";
import { coloured } from "./colours.js";
import { byId, element } from "./element.js";
import { Player } from "./player.js";
import { isSpeech, otherModelOf, wordsOf } from "./record.js";
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
  #failure = ""; // on this page's side
  #announced = "";
  #drawn = 0; // ms, when the picture was last made
  #frame = 0; // the animation frame that is asked for
  player = new Player();

  constructor(api) {
    this.#api = api;
    this.#play.addEventListener("click", () => this.#turn());
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
    this.#failure = "";
    this.player.load(prediction.sound);
    this.#waveform.show(prediction.sound);
    this.#root.hidden = false;
    byId("result-text").replaceChildren(...shownWords(prediction.record));
    prediction.addEventListener("audio", () => this.#draw());
    prediction.addEventListener("change", () => this.#describe());
    this.#describe();
    this.#draw();
  }

  /** What went wrong on this page's side. */
  fail(message) {
    this.#failure = message;
    this.#describe();
  }

  #describe() {
    const { record, ended, trouble } = this.#prediction;
    const { metrics, logs } = record;
    this.#root.dataset.status = record.status;
    byId("state").textContent = trouble || stateOf(record);
    this.#announce();
    const bar = byId("progress");
    bar.hidden = ended;
    if (record.status === "starting") bar.removeAttribute("value");
    else bar.value = metrics?.progress ?? 0;
    byId("downloads").hidden = !record.output;
    say(byId("result-error"), [record.error, this.#failure].filter(Boolean).join(" "));
    say(byId("logs"), logs ?? "");
    byId("logs-frame").hidden = !logs;
    const notes = [...(logs ?? "").matchAll(NOTE)].map(([, note]) => element("li", {}, note));
    byId("notes").replaceChildren(...notes);
    byId("notes").hidden = !notes.length;
  }

  /** Only when it begins another phase, another quarter is done, or the server is away. */
  #announce() {
    const { record, trouble } = this.#prediction;
    const { id, status, metrics, error } = record;
    const quarter = Math.floor(4 * (metrics?.progress ?? 0));
    const phase = [id, status, metrics?.queue_position, quarter, Boolean(trouble)].join(" ");
    if (phase === this.#announced) return;
    this.#announced = phase;
    announce(trouble || [stateOf(record), error].filter(Boolean).join(". "));
  }

  #draw() {
    const { sound } = this.#prediction;
    const { playing, waiting, position } = this.player;
    this.#drawn = performance.now();
    this.#waveform.draw(position, playing && !waiting);
    byId("time").textContent = `${clock(position)} / ${clock(sound.seconds)}`;
    this.#play.ariaDisabled = String(isSilent(sound) && !playing);
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

  #turn() {
    if (this.player.playing) this.player.pause();
    else if (!isSilent(this.#prediction.sound)) this.player.play();
  }

  /** Fetched and not linked, because a link carries no token. */
  async #download(button) {
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // disabled, it would lose the focus
    const prediction = this.#prediction;
    const format = button.textContent;
    try {
      const href = URL.createObjectURL(await this.#api.audioFile(prediction.id, format));
      element("a", { href, download: `parley-${prediction.id}.${format}` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60_000); // when the browser has certainly begun to save it
    } catch (error) {
      if (prediction === this.#prediction) this.fail(error.message);
    }
    button.ariaDisabled = "false";
  }
}

/** Text that is there already stays, so that nothing is read out twice. */
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
}

/** Nothing to play, now or later. */
function isSilent({ length, whole }) {
  return whole && length === 0;
}

/** A script in its colours; anything else as it was written. */
function shownWords(record) {
  return isSpeech(record) ? coloured(wordsOf(record)) : [wordsOf(record)];
}

/** How it stands, in a few words. */
function stateOf(record) {
  const { status } = record;
  const metrics = record.metrics ?? {};
  const made = metrics.audio_seconds ? `${seconds(metrics.audio_seconds)} of audio` : "";
  const took = metrics.predict_time ? ` in ${seconds(metrics.predict_time)}` : "";
  const parts = {
    starting: ["Waiting to begin", metrics.queue_position && `number ${metrics.queue_position} in the queue`],
    processing: [isSpeech(record) ? "Speaking" : "Being made", metrics.progress !== undefined && `${Math.floor(100 * metrics.progress)} %`, made],
    succeeded: ["Done", made && made + took, metrics.seed !== undefined && `seed ${metrics.seed}`],
    failed: ["Failed"],
    canceled: ["Cancelled", made],
  }[status];
  return [otherModelOf(record), ...(parts ?? [status])].filter(Boolean).join(" · ");
}
