// What needs no server: constants, the verdict's type, HPKE against the Python side, points of low order.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as verifier from "../../../attestation/js/chancery-fetch.js";

const facts = JSON.parse(readFileSync(process.env.CHANCERY_FACTS, "utf8"));
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));

test("limits, buckets, root and refusals are those of the Python side", () => {
  assert.deepEqual(Object.fromEntries(Object.keys(verifier.LIMITS).map((name) => [name, facts.limits[name]])), verifier.LIMITS);
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

test("what JavaScript seals, Python opens, and the other way round", async () => {
  // The child opens each envelope with the key and answers it; see test_javascript.py.
  const requests = facts.requests.map(([method, headers, body]) => [method, headers, bytes(body)]);
  const sealed = [];
  for (const request of requests) {
    sealed.push(await verifier.sealRequest(bytes(facts.channel_key), request, crypto.getRandomValues(new Uint8Array(16))));
  }
  const envelopes = sealed.map(({ envelope }) => Buffer.from(envelope).toString("base64"));
  const output = execFileSync(facts.python, ["-c", facts.opener], { input: JSON.stringify(envelopes), cwd: facts.root });
  const answers = JSON.parse(output).map(bytes);
  for (const [index, { open }] of sealed.entries()) {
    const { status, headers, body } = await open(answers[index]);
    const [method, , asked] = requests[index];
    assert.equal(status, 200 + index);
    assert.equal(headers["content-type"], method);
    assert.deepEqual(body, asked);
    const other = answers[(index + 1) % answers.length];
    await assert.rejects(open(other), { code: "channel-unopened" });
  }
});

test("every flipped bit of a sealed answer is refused", async () => {
  const id = crypto.getRandomValues(new Uint8Array(16));
  const { envelope, open } = await verifier.sealRequest(bytes(facts.channel_key), ["GET /", {}, new Uint8Array(0)], id);
  const input = JSON.stringify([Buffer.from(envelope).toString("base64")]);
  const [answer] = JSON.parse(execFileSync(facts.python, ["-c", facts.opener], { input, cwd: facts.root })).map(bytes);
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
