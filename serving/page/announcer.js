// What a screen reader says at its next pause, and no eye sees. Knows no part of the page.

import { byId } from "./element.js";

/** The element is always in the page: what comes into it together with its text is said by few readers. */
export function announce(text) {
  byId("announcer").textContent = text;
}
