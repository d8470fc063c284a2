// What the page says to the server, and nothing else says anything: the HTTP paths, the bearer token, the errors.
// Knows no element of the page, keeps nothing but where the token comes from, and judges no input.

const MODEL = "/v1/models/parley/dia";
const PREDICTIONS = "/v1/predictions";
const DEFAULT_WAIT = 5; // seconds to wait after a 429 that does not say how long

/** An answer that is not the one asked for. `status` is 0 where there was no answer at all. */
export class ApiError extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    const detail = typeof problem.detail === "string" ? problem.detail : null;
    super(detail ?? problem.title ?? `The server answered with status ${status}.`);
    this.status = status;
    /** [{field, description}], the inputs that the server refused. */
    this.invalidFields = (problem.invalid_fields ?? []).map(({ field, description }) => ({
      field: field.replace(/^input\./, ""),
      description,
    }));
    /** Seconds to wait before asking again; null where asking again would not help. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same question may be answered a moment later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #tokens;

  /** tokens: {value, ask(refused)}; ask resolves when there is another value, and rejects where nobody gives one. */
  constructor(tokens) {
    this.#tokens = tokens;
  }

  /** The model with its newest version and input schema. */
  async model() {
    return this.#json(MODEL);
  }

  /** Keep a file → its signed URL, which is good as an input. */
  async upload(file, name) {
    const body = new FormData();
    body.append("content", file, name);
    const kept = await this.#json("/v1/files", { method: "POST", body });
    return kept.urls.get;
  }

  async create(input) {
    return this.#json(`${MODEL}/predictions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ input, stream: true }),
    });
  }

  async prediction(id, signal) {
    return this.#json(`${PREDICTIONS}/${encodeURIComponent(id)}`, { signal });
  }

  async cancel(id) {
    return this.#json(`${PREDICTIONS}/${encodeURIComponent(id)}/cancel`, { method: "POST" });
  }

  /** One page of predictions, newest first → {results, cursor of the page behind it or null}. */
  async predictions(cursor = null) {
    const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
    const { results, next } = await this.#json(PREDICTIONS + query);
    // `next` may name the server as a proxy sees it, so only its cursor is taken.
    return { results, cursor: next ? new URL(next, location.href).searchParams.get("cursor") : null };
  }

  /** The audio of a prediction, whole or while it is made: a Response whose body is still to be read. */
  async audio(id, format, signal) {
    const path = `${PREDICTIONS}/${encodeURIComponent(id)}/audio`;
    return this.#send(`${path}?format=${encodeURIComponent(format)}`, { signal });
  }

  async #json(path, options) {
    return (await this.#send(path, options)).json();
  }

  /** Ask, with the token, until it is not the token that is refused. Raises ApiError, or AbortError. */
  async #send(path, options = {}) {
    for (;;) {
      const token = this.#tokens.value;
      const authorization = token ? { Authorization: `Bearer ${token}` } : {};
      const response = await reach(path, { ...options, headers: { ...options.headers, ...authorization } });
      if (response.ok) return response;
      if (response.status !== 401) throw await refusal(response);
      if (this.#tokens.value === token) await this.#tokens.ask(Boolean(token));
    }
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { detail: "The server cannot be reached. Check the connection." });
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const wait = response.status === 429 ? Number(response.headers.get("Retry-After")) || DEFAULT_WAIT : null;
  return new ApiError(response.status, problem, wait);
}
