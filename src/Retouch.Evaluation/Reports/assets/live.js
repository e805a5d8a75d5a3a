"use strict";
// A live page: asks its server for the version of its content and, if it has changed, replaces the content in place.
(() => {
  const every = 3000;
  const status = document.createElement("p");
  status.className = "live";
  status.setAttribute("role", "status");
  document.body.append(status);
  let version = null;
  const tell = (text, lost) => {
    status.textContent = text;
    status.classList.toggle("lost", lost);
  };

  async function read(address) {
    const reply = await fetch(address, { cache: "no-store" });
    if (!reply.ok) throw new Error(String(reply.status));
    return reply.text();
  }

  async function follow() {
    try {
      const now = await read("version");
      if (version !== null && now !== version) await replace();
      if (now !== version) tell("live, updated " + new Date().toLocaleTimeString(), false);
      else status.classList.remove("lost");
      version = now;
    } catch {
      tell("no connection to retouch watch", true);
      version = version === null ? null : "";
    }
    setTimeout(follow, every);
  }

  async function replace() {
    const page = new DOMParser().parseFromString(await read("."), "text/html");
    const open = new Set([...document.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent));
    const top = scrollY;
    for (const part of ["header", "main"]) document.querySelector(`body > ${part}`).replaceWith(page.querySelector(`body > ${part}`));
    for (const summary of document.querySelectorAll("details > summary")) summary.parentElement.open = open.has(summary.textContent);
    document.dispatchEvent(new Event("content-replaced"));
    scrollTo({ top, behavior: "instant" });
  }

  follow();
})();
