// Waiting that can be called off: a pause, a promise, another try. Knows no request and no element.

const FIRST_WAIT = 1; // seconds
const LONGEST_WAIT = 16; // s, where the server names no other
const PATIENCE = 300; // s of pauses for one answer, then its error stands

/**
 * What `ask` resolves with. An error that `passes` is followed by another try, after its `retryAfter` or after 1, 2, 4 …
 * 16 s; `say` hears what is waited for, and "" when that is over. Raises the last error, or AbortError.
 */
export async function patiently(ask, { say = () => {}, passes = mayPass, signal, waited = 0 } = {}) {
  try {
    return await ask();
  } catch (error) {
    const seconds = error.retryAfter ?? Math.min(waited + FIRST_WAIT, LONGEST_WAIT);
    if (!passes(error) || waited + seconds > PATIENCE) throw error;
    try {
      say(`${error.message} Trying again in ${seconds} s.`);
      await pause(1000 * seconds, signal);
      return await patiently(ask, { say, passes, signal, waited: waited + seconds });
    } finally {
      say("");
    }
  }
}

function mayPass({ passing }) {
  return passing;
}

/** Resolves after that many milliseconds; rejects with AbortError as soon as `signal` is aborted. */
export function pause(milliseconds, signal) {
  return unlessAborted(new Promise((resolve) => setTimeout(resolve, milliseconds)), signal);
}

/** What the promise resolves with; rejects with AbortError as soon as `signal` is aborted, whatever becomes of it. */
export function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("stopped", "AbortError"));
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal?.removeEventListener("abort", stop));
  });
}
