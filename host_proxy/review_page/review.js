/**
 * The reviewers' page. Everything that it shows comes out of the sealed channel of a verified enclave; what a reviewer
 * signs is computed here, from the very text that is shown. Text goes into the page as text, never as markup.
 */

import { AttestationError, attestationOf, createSealedFetch } from "./chancery-fetch.js";
import { challengeOf, decode, entryOf, signWith } from "./passkeys.js";

const STATEMENT_FORMAT = "chancery/guard-review/1";
const REFUSALS = {
  "guard:review-session": "Your session has ended. Please sign in again.",
  "guard:review-challenge": "That took too long. Please try again.",
  "guard:review-nobody": "The rules in force name no reviewers.",
  "guard:review-decided": "You have decided about this request already.",
  "guard:review-ended": "This request can no longer be decided.",
  "passkey is no reviewer's": "This passkey is not among the reviewers that the rules name.",
};

const $ = (id) => document.getElementById(id);
let settings = null;
let sealed = null;
let service = "";
let session = "";

/** What the service refused, by its cause. */
class Refused extends Error {}

async function start() {
  settings = await (await fetch("settings.json", { cache: "no-store" })).json();
  const { deployment, expectedPcrs, url = location.origin } = settings;
  const roots = settings.roots?.map((root) => Uint8Array.from(atob(root), (char) => char.charCodeAt(0)));
  service = new URL("/rpc/GuardReview/", url).href;
  sealed = createSealedFetch({ url, deployment, expectedPcrs, ...(roots ? { roots } : {}) });
}

/** A method of the guard. `AttestationError` where no verified enclave answers, `Refused` where it refuses. */
async function call(method, args) {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(args) };
  const response = await sealed(service + method, init);
  const answer = await response.json();
  $("source").textContent = `Verified: enclave ${attestationOf(response).moduleId} of “${settings.deployment}”`;
  if (!response.ok) throw new Refused(answer.cause || answer.msg);
  return answer;
}

// --- what people see ---

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function button(text, className, act) {
  const made = element("button", text, className);
  made.type = "button";
  made.addEventListener("click", () => during(act));
  return made;
}

function words(lines) {
  const made = element("div", "", "words");
  made.append(...lines.map((line) => element("p", line)));
  return made;
}

function terms(pairs) {
  const made = element("dl");
  for (const [name, text] of pairs) made.append(element("dt", name), element("dd", text));
  return made;
}

function folded(title, text) {
  const made = element("details");
  made.append(element("summary", title), element("pre", text));
  return made;
}

const time = (seconds) => new Date(seconds * 1000).toLocaleString();

function age(seconds) {
  const [size, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"]].find(([size]) => seconds >= size) ?? [1, "second"];
  const count = Math.max(0, Math.floor(seconds / size));
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function notice(text, wrong = false) {
  $("notice").textContent = text;
  $("notice").classList.toggle("wrong", wrong);
}

/** One thing at a time: buttons rest while `act` runs, and what goes wrong is said. */
async function during(act) {
  const buttons = [...document.querySelectorAll("button")];
  buttons.forEach((each) => (each.disabled = true));
  notice("");
  try {
    await act();
  } catch (error) {
    notice(inWords(error), true);
    if (error instanceof Refused && error.message === "guard:review-session") leave();
  } finally {
    buttons.forEach((each) => (each.disabled = false));
  }
}

function inWords(error) {
  if (error instanceof AttestationError) {
    return `Nothing is shown, because what answers could not be verified as the guard (${error.code}).`;
  }
  if (error instanceof Refused) return REFUSALS[error.message] ?? `The guard refused: ${error.message}`;
  if (error.name === "NotAllowedError") return "No passkey was used.";
  return `That did not work: ${error.message}`;
}

function leave() {
  session = "";
  $("inside").hidden = true;
  $("entrance").hidden = false;
}

// --- what people do ---

async function signIn() {
  if (sealed === null) await start();
  const { challenge, site, credentials } = await call("Challenge", {});
  const assertion = await signWith(decode(challenge), site, credentials);
  const opened = await call("OpenSession", { challenge, assertion });
  session = opened.session;
  $("entrance").hidden = true;
  $("inside").hidden = false;
  await refresh();
  notice(`Signed in as ${opened.reviewer} until ${time(opened.expiresS)}.`);
}

async function enrol() {
  const name = $("name");
  if (!name.value || !name.checkValidity()) throw new Error("a name has small letters, digits and hyphens");
  $("entry").textContent = JSON.stringify(await entryOf(name.value), null, 2);
  $("entry").hidden = false;
  $("entry").focus();
}

async function refresh() {
  const [queue, rules] = [await call("Queue", { session }), await call("Rules", { session })];
  list("queue", queue.reviews.filter(isWaiting), queue);
  list("history", queue.reviews.filter((each) => !isWaiting(each)), queue);
  $("rules-version").textContent = `Version ${rules.version}${rules.frozen ? ", FROZEN" : ""}, SHA-256 ${rules.sha256}`;
  $("rules").replaceChildren(...rules.words.map((line) => element("p", line)));
  await look();
}

/** What is left of budgets, and what was decided: of the named wallet, or of those who have asked lately. */
async function look() {
  const found = await call("Overview", { session, wallet: $("wallet").value.trim() });
  $("budgets").replaceChildren(...found.budgets.map((each) => budget(each, found.nowS)));
  $("decisions").replaceChildren(...found.decisions.map(decision));
  $("decisions-empty").hidden = found.decisions.length > 0;
}

function budget(each, nowS) {
  const made = element("div", "", "words");
  const whose = each.per === "everyone" ? "all together" : `each ${each.per}`;
  const span = each.windowS ? `in any ${age(each.windowS)}` : "in one request";
  made.append(element("h3", `${each.id}: at most ${each.atMost} ${each.asset} ${span} for ${whose}`));
  for (const share of each.shares) {
    const frees = share.frees.map(({ timeS, amount }) => `${amount} in ${age(timeS - nowS)}`).join(", ");
    const line = `${share.subject || "all together"}: ${share.left} left of ${each.atMost}`;
    made.append(element("p", frees ? `${line}; comes back: ${frees}` : line));
  }
  if (each.windowS && each.shares.length === 0) made.append(element("p", "Nobody has asked lately.", "quiet"));
  return made;
}

function decision({ timeS, wallet, session: asker, outcome, by }) {
  const made = element("li");
  made.append(element("p", `${time(timeS)}: ${outcome} by ${by}`));
  made.append(element("p", asker ? `wallet ${wallet}, asked by ${asker}` : `wallet ${wallet}`, "quiet"));
  return made;
}

const isWaiting = ({ state }) => state === "held" || state === "approved";

function list(id, reviews, { nowS, quorum }) {
  $(id).replaceChildren(...reviews.map((each) => row(each, nowS, quorum)));
  $(`${id}-empty`).hidden = reviews.length > 0;
}

function row(review, nowS, quorum) {
  const made = element("li");
  const approvals = review.decisions.filter((each) => each.decision === "approve").length;
  const facts = [`${review.state}, ${approvals} of ${quorum} approvals`, `held by ${review.heldBy}`];
  facts.push(`asked ${age(nowS - review.heldAtS)} ago`);
  if (isWaiting(review)) facts.push(`${age(review.expiresS - nowS)} left`);
  made.append(words(review.words), element("p", facts.join(" · "), "quiet"));
  const act = button("Read", "", () => read(review.id));
  act.setAttribute("aria-label", `Read request ${review.id}`);
  made.append(act, element("code", review.id));
  return made;
}

async function read(id) {
  const found = await call("Get", { session, id });
  const told = JSON.parse(found.statement);
  if (told.format !== STATEMENT_FORMAT || told.id !== id || told.deployment !== settings.deployment) {
    throw new Error("the guard told of another request");
  }
  const title = element("h2", `Request ${id}`);
  title.id = "review-title";
  const facts = terms([
    ["Wallet", told.wallet],
    ["Chain", told.chainId],
    ["Asked by", told.askedBy.join(", ")],
    ["Held by", told.heldBy],
    ["Rules", `version ${told.rulesVersion}`],
    ["Asked", time(told.heldAtS)],
    ["Until", time(told.expiresS)],
    ["Digest", told.digest],
    ["State", found.state],
  ]);
  const now = `The rules would say ${found.outcome} now, by ${found.by}: ${found.why}`;
  $("review").replaceChildren(
    title,
    element("h3", "What it does"),
    words(told.words),
    element("h3", "Rules and budgets"),
    words([now, ...found.budgets]),
    element("h3", "Request"),
    facts,
    folded("Effects as data", JSON.stringify(told.effects, null, 2)),
    folded("Request as it was parsed", JSON.stringify(JSON.parse(told.request), null, 2)),
    element("h3", `Decisions, of which ${found.quorum} approvals are needed`),
    words(found.decisions.map(decided)),
    ...choices(found, id),
  );
  $("review").hidden = false;
  $("review").focus();
}

function decided({ line }) {
  const made = JSON.parse(line);
  return `${made.reviewer}: ${made.decision}, ${time(made.timeS)}`;
}

function choices({ state, statement }, id) {
  const verdicts = { held: ["approve", "refuse"], approved: ["refuse"] }[state] ?? [];
  const label = { approve: "Approve with passkey", refuse: "Refuse with passkey" };
  return verdicts.map((each) => button(label[each], each, () => decide(id, statement, each)));
}

/** `statement` is the text that is shown, and the hash of it is what is signed. */
async function decide(id, statement, decision) {
  const { site, credentials } = await call("Challenge", {});
  const assertion = await signWith(await challengeOf(statement, decision), site, credentials);
  const { state } = await call("Decide", { id, decision, assertion });
  await refresh();
  await read(id);
  notice(`Your decision (${decision}) counts. The request is ${state}.`);
}

$("sign-in").addEventListener("click", () => during(signIn));
$("enrol").addEventListener("click", () => during(enrol));
$("look").addEventListener("click", () => during(look));
$("refresh").addEventListener("click", () => during(refresh));
