// The access token: asked for when the server wants one, kept until the tab closes. Knows no request.

import { byId } from "./element.js";

const KEY = "parley.token";

export class Token {
  #form = byId("token");
  #field = byId("token-field");
  #problem = byId("problem-token");
  #asked = null;

  get value() {
    return sessionStorage.getItem(KEY);
  }

  /** Show the form; resolves when a token is given. All who ask meanwhile wait for the same one. */
  ask(refused) {
    this.#asked ??= this.#show(refused).finally(() => {
      this.#asked = null;
    });
    return this.#asked;
  }

  #show(refused) {
    const before = document.activeElement === document.body ? byId("writing").querySelector("textarea") : document.activeElement;
    this.#problem.textContent = refused ? "The server does not accept this token." : "";
    this.#problem.hidden = !refused;
    this.#field.setAttribute("aria-invalid", String(refused));
    this.#form.hidden = false;
    this.#field.focus();
    return new Promise((resolve) => {
      this.#form.onsubmit = (event) => {
        event.preventDefault();
        if (!this.#field.value.trim()) return;
        sessionStorage.setItem(KEY, this.#field.value.trim());
        this.#form.hidden = true;
        before.focus();
        resolve();
      };
    });
  }
}
