// An answer stays in the browser until the server has confirmed it: neither standby nor a server restart loses it, and its key identifies
// repeated submissions.
import { call, Refusal } from "./api.js";

const SLOT = "arena-outbox";
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends with retries until the server answers. */
export async function send(path, body, waiting) {
  localStorage.setItem(SLOT, JSON.stringify({ path, body }));
  for (let pause = 300; ; pause = Math.min(5000, pause * 1.7)) {
    try {
      const reply = await call(path, body);
      localStorage.removeItem(SLOT);
      return reply;
    } catch (error) {
      if (error instanceof Refusal && error.status < 500) {
        localStorage.removeItem(SLOT);
        throw error;
      }
      waiting();
      await wait(pause);
    }
  }
}

/** Sends what an earlier page could not. */
export async function flush(waiting) {
  const kept = localStorage.getItem(SLOT);
  if (!kept) return;
  const { path, body } = JSON.parse(kept);
  // Refused: already answered, or of another study.
  await send(path, body, waiting).catch(() => {});
}
