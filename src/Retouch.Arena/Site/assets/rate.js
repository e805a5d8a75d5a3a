import { call, newKey, Refusal, useToken } from "./api.js";
import { flush, send } from "./outbox.js";
import { SharedZoom } from "./zoom.js";

const $ = (id) => document.getElementById(id);
const QUESTIONS = {
  flaws: {
    ask: "Which picture has fewer visual flaws?",
    hint: "Broken shapes, odd textures, smudges, unreadable detail. You may also mark how bad they are.",
    answers: [["left", "A has fewer", "←"], ["tie", "No difference", "↓"], ["right", "B has fewer", "→"]],
  },
  appeal: {
    ask: "Which picture do you like better?",
    hint: "Go by the overall impression: composition, colour, light, detail.",
    answers: [["left", "A", "←"], ["tie", "Both the same", "↓"], ["right", "B", "→"]],
  },
  alignment: {
    ask: "Does the picture show what the text says?",
    hint: "",
    answers: [["yes", "Yes", "Y"], ["no", "No", "N"]],
  },
};
const MARKS = [["none", "none"], ["minor", "minor"], ["major", "major"]];
const ANSWER_KEYS = { ArrowLeft: "left", ArrowDown: "tie", ArrowRight: "right", y: "yes", n: "no" };
const MARK_KEYS = { 1: ["left", "none"], 2: ["left", "minor"], 3: ["left", "major"], 8: ["right", "none"], 9: ["right", "minor"], 0: ["right", "major"] };

let task = null;
let marks = {};
let shownAt = 0;
let busy = true;
const views = [...document.querySelectorAll(".view")];
const zoom = new SharedZoom(views, (scale) => ($("zoom-level").value = `${Math.round(scale * 100)} %`));

function show(part) {
  for (const id of ["join", "message", "judge"]) $(id).hidden = id !== part;
}

function message(title, text, { undo = false, retry = false } = {}) {
  $("message-title").textContent = title;
  $("message-text").textContent = text;
  $("message-undo").hidden = !undo;
  $("message-retry").hidden = !retry;
  show("message");
}

const waiting = () => {
  $("state").textContent = "The server cannot be reached; trying again. Your answer is kept.";
};

async function start() {
  let session;
  try {
    session = await call("/api/session");
  } catch (error) {
    if (error instanceof Refusal) message("By invitation", error.message);
    else message("No connection", "The server cannot be reached.", { retry: true });
    return;
  }
  useToken(session.token);
  document.title = session.title;
  for (const title of document.querySelectorAll(".title")) title.textContent = session.title;
  if (session.rater) await begin(session.link);
  else if (session.byInvitation) message("By invitation", "Open your personal link.");
  else {
    show("join");
    $("name").focus();
  }
}

async function begin(link) {
  $("own-link").hidden = !link;
  if (link) $("own-link").querySelector("a").href = link;
  await flush(waiting);
  await next();
}

async function next() {
  busy = true;
  try {
    task = await call("/api/task");
  } catch (error) {
    if (error instanceof Refusal) message("This did not work", error.message, { retry: true });
    else message("No connection", "The server cannot be reached. Everything you answered is kept.", { retry: true });
    return;
  }
  if (task.finished) {
    message("Thank you", task.progress.done > 0 ? `Finished: ${task.progress.done} answers. You can close this page.` : "There is nothing left to judge.", { undo: task.canUndo });
    $("announce").textContent = "Thank you, you are finished.";
    return;
  }
  show("judge");
  await lay(task);
}

async function lay({ question, left, right, prompt, previous, progress, canUndo }) {
  const { ask, hint, answers } = QUESTIONS[question];
  const stage = $("stage");
  stage.classList.remove("ready");
  stage.classList.toggle("one", !right);
  $("question").textContent = ask;
  $("hint").textContent = hint;
  $("hint").hidden = !hint;
  $("prompt").hidden = !prompt;
  $("prompt").textContent = prompt ? `“${prompt}”` : "";
  $("bar").max = progress.total;
  $("bar").value = progress.done;
  $("count").textContent = `${progress.done + 1} of ${progress.total}`;
  $("undo").disabled = !canUndo;
  $("state").textContent = previous ? "Undone; answer again." : "";
  zoom.reset();
  layAnswers(answers, previous?.answer);
  layMarks(question === "flaws", previous);
  for (const kind of ["pairs", "single", "marking"]) {
    const wanted = { pairs: !!right, single: !right, marking: question === "flaws" }[kind];
    for (const row of document.querySelectorAll(`#help .${kind}`)) row.hidden = !wanted;
  }
  $("announce").textContent = `${ask} ${progress.done + 1} of ${progress.total}.`;

  const sides = right ? [["left", left, "Picture A"], ["right", right, "Picture B"]] : [["left", left, "The picture"]];
  const loading = sides.map(([side, name, label]) => {
    const view = $(side).querySelector(".view");
    const image = view.querySelector("img");
    view.setAttribute("aria-label", `${label}; wheel or plus and minus to zoom`);
    image.src = `/pictures/${name}`;
    return image.decode();
  });
  const at = task;
  try {
    // Both at once: neither picture may have an advantage.
    await Promise.all(loading);
  } catch {
    if (at === task) message("A picture is missing", "It could not be loaded. Try again, or contact the organiser.", { retry: true });
    return;
  }
  if (at !== task) return;
  stage.classList.add("ready");
  for (const button of $("answers").children) button.disabled = false;
  // The pressed button is gone: screen readers and keyboard users continue at the question.
  if (!stage.contains(document.activeElement)) $("question").focus({ preventScroll: true });
  shownAt = performance.now();
  busy = false;
}

function layAnswers(answers, before) {
  $("answers").classList.toggle("two", answers.length === 2);
  $("answers").replaceChildren(...answers.map(([answer, text, key]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.answer = answer;
    button.disabled = true;
    button.classList.toggle("before", answer === before);
    const hint = document.createElement("kbd");
    hint.textContent = key;
    hint.setAttribute("aria-hidden", "true");
    button.append(text, hint);
    button.addEventListener("click", () => vote(answer));
    return button;
  }));
}

function layMarks(wanted, previous) {
  marks = wanted ? { left: previous?.leftFlaws, right: previous?.rightFlaws } : {};
  for (const side of ["left", "right"]) {
    const group = $(side).querySelector(".marks");
    group.hidden = !wanted;
    const label = document.createElement("span");
    label.textContent = "Flaws";
    group.replaceChildren(label, ...MARKS.map(([mark, text]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.dataset.mark = mark;
      button.addEventListener("click", () => setMark(side, mark));
      return button;
    }));
    showMarks(side);
  }
}

function setMark(side, mark) {
  marks[side] = marks[side] === mark ? undefined : mark;
  showMarks(side);
}

function showMarks(side) {
  for (const button of $(side).querySelectorAll(".marks button")) button.setAttribute("aria-pressed", String(button.dataset.mark === marks[side]));
}

async function vote(answer) {
  if (busy || !QUESTIONS[task.question].answers.some(([a]) => a === answer)) return;
  const body = { assignment: task.assignment, key: newKey(), answer, milliseconds: Math.round(Math.min(performance.now() - shownAt, 86400000)) };
  if (marks.left) body.leftFlaws = marks.left;
  if (marks.right) body.rightFlaws = marks.right;
  await submit("/api/vote", body);
}

async function undo() {
  if (task?.canUndo && (!busy || task.finished)) await submit("/api/undo", { key: newKey() });
}

async function submit(path, body) {
  busy = true;
  for (const button of $("answers").children) button.disabled = true;
  try {
    await send(path, body, waiting);
  } catch (error) {
    // Possibly answered in another window: the server knows the next task.
    if (error.status === 403) return message("This did not work", error.message, { retry: true });
  }
  await next();
}

$("join-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("join-error").textContent = "";
  try {
    const { link } = await call("/api/join", { name: $("name").value });
    await begin(link);
  } catch (error) {
    $("join-error").textContent = error instanceof Refusal ? error.message : "The server cannot be reached.";
  }
});
$("message-retry").addEventListener("click", () => location.reload());
$("message-undo").addEventListener("click", undo);
$("undo").addEventListener("click", undo);
$("zoom-in").addEventListener("click", () => zoom.by(1.5));
$("zoom-out").addEventListener("click", () => zoom.by(1 / 1.5));
$("help-open").addEventListener("click", () => $("help").showModal());

addEventListener("keydown", (event) => {
  if ($("judge").hidden || $("help").open || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const move = { ArrowLeft: [0.2, 0], ArrowRight: [-0.2, 0], ArrowUp: [0, 0.2], ArrowDown: [0, -0.2] }[key];
  if (event.shiftKey && move) zoom.move(...move);
  else if (ANSWER_KEYS[key] && !event.repeat) vote(ANSWER_KEYS[key]);
  else if (MARK_KEYS[key] && task?.question === "flaws" && !busy) setMark(...MARK_KEYS[key]);
  else if ((key === "z" || key === "Backspace") && !event.repeat) undo();
  else if (key === "+" || key === "=") zoom.by(1.25);
  else if (key === "-") zoom.by(1 / 1.25);
  else if (key === "r" || key === "Escape") zoom.reset();
  else if (key === "?") $("help").showModal();
  else return;
  event.preventDefault();
});

start();
