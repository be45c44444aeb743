// What needs no server: constants, the verdict's type, HPKE against the Python side, points of low order.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as verifier from "../../../attestation/js/chancery-fetch.js";

const facts = JSON.parse(readFileSync(process.env.CHANCERY_FACTS, "utf8"));
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));

test("limits, buckets, root and refusals are those of the Python side", () => {
  const limits = Object.keys(verifier.LIMITS).map((name) => [name, facts.limits[name]]);
  assert.deepEqual(Object.fromEntries(limits), verifier.LIMITS);
  assert.deepEqual(verifier.BUCKETS, facts.buckets);
  assert.deepEqual([verifier.DEFAULT_MAX_AGE_MS, verifier.DEFAULT_PIN_MS], [facts.max_age_ms, facts.pin_ms]);
  assert.deepEqual(verifier.AMAZON_ROOT, bytes(facts.amazon_root));
  const source = readFileSync(new URL("../../../attestation/js/chancery-fetch.js", import.meta.url), "utf8");
  const codes = new Set([...source.matchAll(/AttestationError\(\s*"([a-z-]+)"/g)].map(([, code]) => code));
  assert.deepEqual([...codes].filter((code) => !facts.codes.includes(code)), ["unattested"]);
});

test("nobody but the verifier makes a verified document", () => {
  for (const mint of [undefined, Symbol("made by verifyDocument"), {}]) {
    assert.throws(() => new verifier.VerifiedDocument(mint, {}), TypeError);
  }
});

/** Seals requests, has the Python side answer them, with given bytes where there are some; `[answer, open]` of each. */
async function exchanges(requests, given = []) {
  const sealed = [];
  for (const request of requests) {
    const id = crypto.getRandomValues(new Uint8Array(16));
    sealed.push(await verifier.sealRequest(bytes(facts.channel_key), request, id));
  }
  const asked = sealed.map(({ envelope }, index) => [Buffer.from(envelope).toString("base64"), given[index] ?? null]);
  const [program, ...options] = facts.answering;
  const input = JSON.stringify([facts.private_key, asked]);
  const answers = JSON.parse(execFileSync(program, options, { input, cwd: facts.folder })).map(bytes);
  return sealed.map(({ open }, index) => [answers[index], open]);
}

const NOTHING = ["GET /", {}, new Uint8Array(0)];

test("what JavaScript seals, Python opens, and the other way round", async () => {
  const requests = facts.requests.map(([method, headers, body]) => [method, headers, bytes(body)]);
  const done = await exchanges(requests);
  for (const [index, [answer, open]] of done.entries()) {
    const { status, headers, body } = await open(answer);
    assert.deepEqual([status, headers["content-type"], body], [200 + index, requests[index][0], requests[index][2]]);
    const [other] = done[(index + 1) % done.length];
    await assert.rejects(open(other), { code: "channel-unopened" });
  }
});

test("every flipped bit of a sealed answer is refused", async () => {
  const [[answer, open]] = await exchanges([NOTHING]);
  await open(answer);
  for (let position = 0; position < answer.length; position++) {
    const damaged = Uint8Array.from(answer);
    damaged[position] ^= 1 << position % 8;
    await assert.rejects(open(damaged), { name: "AttestationError", code: /^channel-(malformed|unopened)$/ });
  }
  for (const cut of [0, 1, 10, answer.length - 1]) {
    await assert.rejects(open(answer.subarray(0, cut)), { code: "channel-malformed" });
  }
});

test("answers of another shape or padding are refused, as by the Python side", async () => {
  const [[right, openRight], ...wrong] = await exchanges(Array(facts.contents.length).fill(NOTHING), facts.contents);
  assert.equal((await openRight(right)).status, 200);
  for (const [answer, open] of wrong) await assert.rejects(open(answer), { code: "channel-malformed" });
});

test("CH-04: points of low order, and keys of another size, are refused", async () => {
  const id = new Uint8Array(16);
  for (const point of [...facts.low_order, "", "AAAA"]) {
    const sealing = verifier.sealRequest(bytes(point), ["GET /", {}, new Uint8Array(0)], id);
    await assert.rejects(sealing, { name: "AttestationError", code: "channel-key" });
  }
});

test("bindings are read as by the Python side", () => {
  for (const [data, isRight] of facts.bindings) {
    if (isRight) assert.equal(verifier.parseBinding(bytes(data)).deployment, facts.deployment);
    else assert.throws(() => verifier.parseBinding(bytes(data)), { code: "binding-malformed" });
  }
  assert.throws(() => verifier.parseBinding(null), { code: "binding-malformed" });
});
