// Plays a sound that may still be growing, from any place in it, by Web Audio. Knows no element and no request.
//
// Events: "change" (it plays, pauses, waits for audio, or has come to the end).

const USUAL_RATE = 44_100; // Hz, of Dia's codec; a sound of another rate gets a context of its own
const LEAD = 0.05; // s from scheduling to sounding, so that no beginning is cut
const PIECE = 2; // s scheduled at once
const HORIZON = 6; // s scheduled ahead: what a tab in the background needs between two of its slow timers
const CHECK_EVERY = 100; // ms
const FIRST_CUSHION = 0.3; // s of audio to have before playing; doubles each time the audio runs dry
const LARGEST_CUSHION = 5; // s

export class Player extends EventTarget {
  #context = null;
  #sound = null;
  #sources = new Set();
  #next = 0; // the first sample that is not scheduled
  #run = null; // {time, sample}: where the scheduled audio without a gap begins; null while nothing sounds
  #cushion = FIRST_CUSHION;
  #timer = null;
  playing = false;
  /** It would play, but too little audio is here. */
  waiting = false;

  /** To be called while a click or key is handled: a browser plays nothing before one. */
  unlock(rate = USUAL_RATE) {
    if (this.#context?.sampleRate !== rate) {
      this.#context?.close();
      // Of the sound's own rate, so that its pieces meet without a resampler's seam.
      this.#context = new AudioContext({ sampleRate: rate });
    }
    this.#context.resume().catch(() => this.pause());
  }

  load(sound) {
    this.pause();
    this.#sound = sound;
    this.#next = 0;
    this.#cushion = FIRST_CUSHION;
  }

  /** Seconds of the sound that have been heard. */
  get position() {
    const rate = this.#sound?.sampleRate;
    if (!rate) return 0;
    if (!this.#run) return this.#next / rate;
    const heard = this.#run.sample / rate + Math.max(0, this.#context.currentTime - this.#run.time);
    return Math.min(heard, this.#next / rate);
  }

  play() {
    if (this.playing || !this.#sound) return;
    if (this.#sound.whole && this.#next >= this.#sound.length) this.#next = 0;
    this.playing = true;
    this.unlock(this.#sound.sampleRate || USUAL_RATE);
    this.#timer = setInterval(() => this.#fill(), CHECK_EVERY);
    this.#fill();
    this.#tell();
  }

  pause() {
    if (!this.playing) return;
    this.#next = Math.round(this.position * this.#sound.sampleRate);
    this.#rest();
  }

  /** Let the speakers go, until it plays again. */
  close() {
    this.pause();
    this.#context?.close();
    this.#context = null;
  }

  seek(seconds) {
    if (!this.#sound?.sampleRate) return;
    const { playing } = this;
    if (playing) this.#stop();
    this.#next = Math.round(Math.min(Math.max(0, seconds), this.#sound.seconds) * this.#sound.sampleRate);
    if (!playing) this.#tell();
    else if (this.#sound.whole && this.#next >= this.#sound.length) this.#rest(); // play would begin anew
    else this.play();
  }

  /** Silence for a while: the context rests too. */
  #rest() {
    this.#stop();
    this.#context.suspend();
    this.#tell();
  }

  #stop() {
    clearInterval(this.#timer);
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
    this.#run = null;
    this.playing = false;
    this.waiting = false;
  }

  /** Schedule what is here, up to the horizon. */
  #fill() {
    const { sampleRate, length } = this.#sound;
    if (sampleRate && sampleRate !== this.#context.sampleRate) this.unlock(sampleRate);
    if (this.#run && this.#scheduledUntil() <= this.#context.currentTime) this.#ranDry();
    if (!this.#run && !this.#begin()) return;
    const horizon = this.#context.currentTime + HORIZON;
    while (this.#next < length && this.#scheduledUntil() < horizon) this.#schedule();
  }

  #ranDry() {
    this.#run = null;
    if (!this.#sound.whole) this.#cushion = Math.min(2 * this.#cushion, LARGEST_CUSHION);
  }

  /** Whether there is enough to play on; at the end of the sound it stops. */
  #begin() {
    const left = this.#sound.length - this.#next;
    if (this.#sound.whole && left <= 0) {
      this.#rest();
      return false;
    }
    const enough = this.#sound.whole || (left > 0 && left >= this.#cushion * this.#sound.sampleRate);
    if (enough) this.#run = { time: this.#context.currentTime + LEAD, sample: this.#next };
    this.#wait(!enough);
    return enough;
  }

  #schedule() {
    const rate = this.#sound.sampleRate;
    const samples = this.#sound.read(this.#next, this.#next + PIECE * rate);
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.onended = () => this.#sources.delete(source);
    source.start(this.#scheduledUntil());
    this.#sources.add(source);
    this.#next += samples.length;
  }

  /** When the scheduled audio ends, on the context's clock. */
  #scheduledUntil() {
    return this.#run.time + (this.#next - this.#run.sample) / this.#sound.sampleRate;
  }

  #wait(waiting) {
    if (this.waiting === waiting) return;
    this.waiting = waiting;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
