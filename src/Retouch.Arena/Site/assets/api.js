// API calls. Every call carries the page token, which forms and links of other sites cannot send.
let token = "";

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function useToken(value) {
  token = value;
}

/** GETs, or POSTs when there is a body. Throws a Refusal when the server says no, a TypeError when it cannot be reached. */
export async function call(path, body) {
  const headers = { "X-Arena-Token": token };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const reply = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
  });
  const content = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Refusal(reply.status, content.error ?? `The server answered ${reply.status}.`);
  return content;
}

/** A name for one submission. crypto.randomUUID exists on secure origins only; an arena in the house has none. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
