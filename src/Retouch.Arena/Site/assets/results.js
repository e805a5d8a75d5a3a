import { call, useToken } from "./api.js";

const $ = (id) => document.getElementById(id);
const NAMES = { flaws: "Visual flaws", appeal: "Visual appeal", alignment: "Text alignment" };
let links = new Map();
let results = null;

/** An element; text only ever arrives as text. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") Object.assign(element.style, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((c) => c !== null && c !== undefined));
  return element;
}

/** A number for people: a true minus sign, and none before a zero. */
const figure = (value, digits, sign = false) => {
  const text = Math.abs(value).toFixed(digits);
  return `${Number(text) === 0 ? "" : value < 0 ? "−" : sign ? "+" : ""}${text}`;
};
const percent = (value, sign = false) => `${figure(100 * value, 1, sign)} %`;
const range = (share, sign) => `${percent(share.value, sign)} (${percent(share.low, sign)} to ${percent(share.high, sign)})`;
const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
const probability = (p) => (p < 0.0001 ? "p < 0.0001" : `p = ${p.toFixed(4)}`);

function table(target, head, rows) {
  target.replaceChildren(
    el("thead", {}, el("tr", {}, ...head.map(([text, kind]) => el("th", { scope: "col", class: kind ?? "" }, text)))),
    el("tbody", {}, ...rows),
  );
  return target;
}

function pair(p) {
  const n = p.wins + p.ties + p.losses;
  const box = el("div", { class: "pair" }, el("div", { class: "names" }, el("span", {}, p.model), el("span", {}, p.against)));
  const missing = p.short > 0 ? `${plural(p.short, "comparison")} with too few ratings ${p.short === 1 ? "is" : "are"} not counted.` : "";
  if (n === 0) {
    box.append(el("p", { class: "facts" }, missing));
    return box;
  }
  const part = (kind, share, count, what) => el("span", { class: kind, style: { width: `${(100 * count) / n}%` }, title: `${what}: ${count}` }, share.value >= 0.07 ? percent(share.value) : "");
  box.append(
    el("div", { class: "split", role: "img", "aria-label": `${p.wins} wins, ${p.ties} ties, ${p.losses} losses of ${p.model} against ${p.against}` },
      part("win", p.winShare, p.wins, "wins"), part("tie", p.tieShare, p.ties, "ties"), part("loss", p.lossShare, p.losses, "losses")),
    el("p", { class: "facts" }, `${p.model} against ${p.against}: ${p.wins} wins, ${p.ties} ties, ${p.losses} losses. Improvement ${range(p.improvement, true)}; sign test ${probability(p.signTest)}. ${missing}`),
  );
  return box;
}

function ranking(models) {
  const ends = models.flatMap((m) => [m.strength.low, m.strength.high, m.strength.value]).map(Number).filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const at = (value) => (high > low ? (100 * (Math.max(low, Math.min(high, value)) - low)) / (high - low) : 50);
  const rows = models.map((m, i) => {
    const [from, to] = [Number(m.strength.low), Number(m.strength.high)];
    return el("tr", {}, el("td", {}, String(i + 1)), el("td", {}, m.model),
      el("td", { class: "number" }, `${figure(m.strength.value, 2)} (${figure(from, 2)} to ${figure(to, 2)})`),
      el("td", { class: "strip-cell" }, el("div", { class: "strip", "aria-hidden": "true" },
        el("span", { class: "zero", style: { left: `${at(0)}%` } }),
        el("span", { class: "range", style: { left: `${at(from)}%`, width: `${at(to) - at(from)}%` } }),
        el("span", { class: "dot", style: { left: `${at(m.strength.value)}%` } }))));
  });
  return table(el("table"), [["Place"], ["Model"], ["Strength", "number"], [""]], rows);
}

function question(q) {
  const section = el("section", {}, el("h2", {}, NAMES[q.question] ?? q.question));
  const alpha = q.agreement === undefined ? "no item has two ratings yet" : `Krippendorff's alpha ${figure(q.agreement, 2)} (1: full agreement, 0: chance)`;
  section.append(el("p", { class: "facts" }, `${plural(q.votes, "rating")}. Agreement: ${alpha}.`));
  if (q.alignment.length > 0) {
    section.append(el("h3", {}, "Prompt alignment"), el("div", { class: "scroll" }, table(el("table"), [["Model"], ["Yes", "number"], ["Pictures", "number"], ["Share", "number"]],
      q.alignment.map((a) => el("tr", {}, el("td", {}, a.model), el("td", { class: "number" }, String(a.aligned)), el("td", { class: "number" }, a.short > 0 ? `${a.counted} (${a.short} with too few ratings)` : String(a.counted)),
        el("td", { class: "number" }, a.counted > 0 ? range(a.alignedShare) : "–"))))));
  }
  if (q.pairs.length > 0) section.append(el("h3", {}, "Win, tie, loss by majority"), ...q.pairs.map(pair));
  if (q.ranking.length > 0) section.append(el("h3", {}, "Ranking (Bradley–Terry, all ratings, 95 % intervals)"), el("div", { class: "scroll" }, ranking(q.ranking)));
  if (q.flaws.length > 0) {
    const share = (count, f) => `${count} (${percent(count / f.marked)})`;
    section.append(el("h3", {}, "Flaw marks"), el("div", { class: "scroll" }, table(el("table"), [["Model"], ["Marked", "number"], ["No flaws", "number"], ["Minor", "number"], ["Major", "number"]],
      q.flaws.map((f) => el("tr", {}, el("td", {}, f.model), el("td", { class: "number" }, String(f.marked)), ...[f.none, f.minor, f.major].map((c) => el("td", { class: "number" }, share(c, f))))))));
  }
  return section;
}

function rater(r) {
  const toggle = el("button", { class: "quiet", type: "button", onclick: () => exclude(r.id, !r.excluded) }, r.excluded ? "Include" : "Exclude");
  toggle.setAttribute("aria-label", `${r.excluded ? "Include" : "Exclude"}: ${r.name}`);
  const checks = r.checksPassed + r.checksFailed.length;
  return el("tr", { class: r.excluded ? "out" : "" },
    el("td", {}, r.name, r.excluded ? " " : null, r.excluded ? el("span", { class: "tag" }, "left out") : null),
    el("td", { class: "number" }, String(r.votes)),
    el("td", { class: "number" }, r.medianSeconds === undefined ? "–" : `${r.medianSeconds.toFixed(1)} s`),
    el("td", { class: "checks" }, checks === 0 ? "–" : r.checksFailed.length === 0 ? `${checks} of ${checks} passed` : el("details", {},
      el("summary", {}, el("span", { class: "failed" }, `${r.checksPassed} of ${checks} passed`)), el("ul", { class: "muted" }, ...r.checksFailed.map((text) => el("li", {}, text))))),
    el("td", {}, links.has(r.name) ? el("a", { href: links.get(r.name) }, "link") : ""),
    el("td", {}, toggle));
}

function items() {
  const wanted = $("which").value;
  const verdict = { first: (i) => (i.second ? i.first : "yes"), second: (i) => i.second ?? "no", tie: () => "tie", short: () => "too few ratings" };
  const shown = results.items.filter((i) => i.question === wanted);
  // The key of items matched by prompt and seed contains the prompt.
  const apart = shown.some((i) => i.prompt && !i.item.startsWith(i.prompt));
  table($("items"), [["Item"], ...(apart ? [["Prompt"]] : []), ["Models"], ["Ratings", "number"], ["Majority"]], shown.map((i) => el("tr", {},
    el("td", { class: "prompt" }, i.item), apart ? el("td", { class: "prompt" }, i.prompt ?? "") : null, el("td", {}, i.second ? `${i.first} / ${i.second}` : i.first),
    el("td", { class: "number" }, i.second ? `${i.forFirst} / ${i.ties} / ${i.forSecond}` : `${i.forFirst} yes, ${i.forSecond} no`),
    el("td", {}, el("span", { class: i.verdict === "short" ? "muted" : "tag" }, verdict[i.verdict](i))))));
}

async function refresh() {
  const ratings = $("ratings").value;
  results = await call(`/api/owner/results${ratings ? `?ratings=${encodeURIComponent(ratings)}` : ""}`);
  $("ratings").value = results.ratingsNeeded;
  $("exported").textContent = "";
  $("summary").textContent = `${plural(results.votes, "rating")} by ${plural(results.raters.filter((r) => !r.excluded).length, "rater")}.`;
  $("questions").replaceChildren(...results.questions.map(question));
  if (results.questions.length === 0) $("questions").replaceChildren(el("section", {}, el("p", {}, "No ratings yet.")));
  table($("raters"), [["Name"], ["Ratings", "number"], ["Median time", "number"], ["Attention checks"], ["Own link"], [""]], results.raters.map(rater));
  const chosen = $("which").value;
  $("which").replaceChildren(...results.questions.map((q) => el("option", { value: q.question }, NAMES[q.question])));
  if (chosen) $("which").value = chosen;
  const paired = results.questions.filter((q) => q.question !== "alignment");
  const asked = $("asked").value || "appeal";
  $("asked").replaceChildren(...paired.map((q) => el("option", { value: q.question }, NAMES[q.question])));
  if (paired.some((q) => q.question === asked)) $("asked").value = asked;
  $("export").hidden = paired.length === 0;
  $("by-prompt").hidden = results.questions.length === 0;
  if (results.questions.length > 0) items();
}

/** Asks first, so that a refusal is read here and not in a file. */
async function exportSet() {
  const query = new URLSearchParams({ question: $("asked").value, ratings: $("ratings").value, ties: $("ties").checked ? "1" : "0" });
  try {
    const set = await call(`/api/owner/preferences?${query}`);
    const left = set.contradictions.length > 0 ? ` Excluded as contradictory: ${set.contradictions.join("; ")}.` : "";
    $("exported").textContent = `${plural(set.pairs, "pair")} with ${plural(set.preferences, "winner")}; ${plural(set.ties, "tie")}, ${set.short} with too few ratings.${left}`;
    el("a", { href: `/results/preferences.zip?${query}`, download: "" }).click();
  } catch (error) {
    $("exported").textContent = error.message.replace("--ratings", "the number of ratings above");
  }
}

async function exclude(rater, excluded) {
  await call("/api/owner/exclude", { rater, excluded });
  await start();
}

async function start() {
  try {
    const session = await call("/api/owner/session");
    useToken(session.token);
    links = new Map(session.links.map((l) => [l.name, l.link]));
    $("title").textContent = session.title;
    document.title = `Results – ${session.title}`;
    $("command").textContent = `retouch arena export ${/^[\w./-]+$/.test(session.folder) ? session.folder : `'${session.folder.replaceAll("'", "'\\''")}'`} --output preferences`;
    await refresh();
  } catch (error) {
    $("summary").textContent = error.message;
  }
}

$("settings").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
$("export").addEventListener("submit", (event) => {
  event.preventDefault();
  exportSet();
});
$("which").addEventListener("change", items);
start();
