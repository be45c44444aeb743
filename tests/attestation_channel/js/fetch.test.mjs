// Both kinds of fetch before a host that plays tricks (tests/attestation_channel/hostile_server.py).

import assert from "node:assert/strict";
import test from "node:test";

import {
  AttestationError,
  anyImage,
  attestationOf,
  contentUserData,
  createAttestedFetch,
  createSealedFetch,
} from "../../../attestation/js/chancery-fetch.js";

const { url, pcrs, root } = JSON.parse(process.env.CHANCERY_SERVER);
const roots = [Uint8Array.from(Buffer.from(root, "base64"))];
const trusting = { expectedPcrs: pcrs, roots };
const sealing = { url, ...trusting };
const COMMIT = "/rpc/IdentityInstrument/CommitVerifier";

async function trick(name) {
  const response = await fetch(`${url}/tricks/${name}`, { method: "PUT" });
  assert.equal(response.status, 204);
}

function refuses(code) {
  return (error) => {
    assert.ok(error instanceof AttestationError, `${error}`);
    assert.equal(error.code, code, `${error}`);
    return true;
  };
}

const post = (value) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) });

// --- attested fetch ---

test("an honest answer arrives with the document that vouches for it", async () => {
  await trick("none");
  const response = await createAttestedFetch(trusting)(`${url}/status`);
  assert.equal(response.status, 200);
  assert.equal(response.url, `${url}/status`);
  assert.equal((await response.clone().json()).pcr0, pcrs[0]);
  const document = attestationOf(response);
  assert.match(document.moduleId, /^i-/);
  const bound = await contentUserData("GET", "/status", new Uint8Array(0), new Uint8Array(await response.arrayBuffer()));
  assert.deepEqual(document.userData, bound);
});

test("bodies of every kind are covered", async () => {
  await trick("none");
  const attested = createAttestedFetch(trusting);
  const text = '{"ä":1}';
  const bytes = new TextEncoder().encode(text);
  const bodies = [text, bytes, bytes.buffer, new Blob([text]), new URLSearchParams({ a: "b" }), undefined];
  for (const body of bodies) assert.equal((await attested(`${url}${COMMIT}`, { method: "POST", body })).status, 400);
  const request = new Request(`${url}${COMMIT}`, { method: "POST", body: text });
  assert.equal((await attested(request)).status, 400);
});

const ATTESTED_TRICKS = {
  strip: "unattested",
  "no-base64": "unattested",
  "two-documents": "unattested",
  "no-document": "cose-malformed",
  "flip-document": "cose-signature",
  "flip-body": "user-data-mismatch",
  "longer-body": "user-data-mismatch",
  endless: "channel-too-large",
};
for (const [name, code] of Object.entries(ATTESTED_TRICKS)) {
  test(`attested fetch refuses the trick ${name}`, async () => {
    await trick(name);
    await assert.rejects(createAttestedFetch(trusting)(`${url}/status`), refuses(code));
  });
}

test("a repeated answer is refused, whole as it is", async () => {
  await trick("repeat");
  const attested = createAttestedFetch(trusting);
  await attested(`${url}/status`);
  await assert.rejects(attested(`${url}/status`), refuses("nonce-mismatch"));
});

test("an answer to another body or path is refused", async () => {
  await trick("none");
  const swapping = (swap) => createAttestedFetch({ ...trusting, fetch: (target, init) => fetch(...swap(target, init)) });
  const otherBody = swapping((target, init) => [target, { ...init, body: "{}" }]);
  await assert.rejects(otherBody(`${url}${COMMIT}`, post({ a: 1 })), refuses("user-data-mismatch"));
  const otherPath = swapping((_, init) => [`${url}/health`, init]);
  await assert.rejects(otherPath(`${url}/status`), refuses("user-data-mismatch"));
});

test("the status of an error is the one that its body states", async () => {
  await trick("good-status");
  const response = await createAttestedFetch(trusting)(`${url}${COMMIT}`, post({}));
  assert.equal(response.status, 400);
  assert.equal(response.ok, false);
});

test("a redirect is not followed", async () => {
  await trick("redirect");
  await assert.rejects(createAttestedFetch(trusting)(`${url}/status`), TypeError);
});

test("a query is refused before anything is sent", async () => {
  const silent = createAttestedFetch({ ...trusting, fetch: () => assert.fail("sent") });
  await assert.rejects(silent(`${url}/status?a=b`), refuses("content-unbound"));
});

// --- both ---

const UNTRUSTED = {
  "Amazon's root by default": [{ expectedPcrs: pcrs }, "root-untrusted"],
  "no root": [{ expectedPcrs: pcrs, roots: [] }, "root-untrusted"],
  "another image": [{ expectedPcrs: { ...pcrs, 0: pcrs[1] }, roots }, "measurement-mismatch"],
  "none of two images": [
    { expectedPcrs: [{ ...pcrs, 1: pcrs[0] }, { ...pcrs, 2: pcrs[0] }], roots },
    "measurement-mismatch",
  ],
  "a further register": [{ expectedPcrs: { ...pcrs, 31: "11".repeat(48) }, roots }, "measurement-mismatch"],
  "a policy that says nothing": [{ policy: { validate() {} }, roots }, "policy-image"],
  "a policy that comes too late": [{ policy: { validate: async () => "image" }, roots }, "policy-image"],
  "too old": [{ ...trusting, maxAgeMs: -60_001 }, "document-too-old"],
};
for (const [what, [options, code]] of Object.entries(UNTRUSTED)) {
  test(`${what}: both refuse, and the sealed one has sent nothing but the question for a document`, async () => {
    await trick("none");
    await assert.rejects(createAttestedFetch(options)(`${url}/status`), refuses(code));
    const sent = [];
    const recording = (target, init) => (sent.push(target), fetch(target, init));
    const sealed = createSealedFetch({ url, ...options, fetch: recording });
    await assert.rejects(sealed(`${url}${COMMIT}`, post({ secret: 1 })), refuses(code));
    assert.deepEqual(sent, [`${url}/rpc/Attestation/Document`]);
  });
}

test("one of several images is enough, and any image is a choice that has to be named", async () => {
  await trick("none");
  for (const options of [
    { expectedPcrs: [{ ...pcrs, 0: pcrs[1] }, pcrs], roots },
    { policy: anyImage(), roots },
  ]) {
    assert.equal((await createAttestedFetch(options)(`${url}/status`)).status, 200);
    assert.equal((await createSealedFetch({ url, ...options })(`${url}/status`)).status, 200);
  }
});

test("CH-09: options that are missing, contradictory, unknown or malformed are refused at once", () => {
  for (const create of [createAttestedFetch, (options) => createSealedFetch(options && { url, ...options })]) {
    for (const options of [
      undefined,
      {},
      { roots },
      { ...trusting, policy: anyImage() },
      { ...trusting, insecure: true },
      { ...trusting, verifySignature: false },
      { ...trusting, maxAgeMs: "soon" },
      { ...trusting, maxAgeMs: Infinity },
      { ...trusting, roots: ["AWS"] },
      { expectedPcrs: { 0: "zz" }, roots },
    ]) {
      assert.throws(() => create(options), TypeError);
    }
    for (const bad of [{}, { 0: pcrs[0] }, { ...pcrs, 0: "00".repeat(48) }, { ...pcrs, 32: pcrs[0] }, { ...pcrs, PCR3: pcrs[0] }]) {
      assert.throws(() => create({ expectedPcrs: bad, roots }), refuses("policy-malformed"));
    }
  }
  assert.throws(() => createSealedFetch(trusting), TypeError);
});

// --- sealed fetch ---

test("requests are sealed, answers arrive as the enclave gave them", async () => {
  await trick("none");
  const sent = [];
  const recording = (target, init) => (sent.push({ target, init }), fetch(target, init));
  const sealed = createSealedFetch({ ...sealing, fetch: recording });
  const [first, second] = [await sealed(`${url}/status`), await sealed(`${url}${COMMIT}`, post({ secret: 1 }))];
  assert.equal((await first.json()).pcr0, pcrs[0]);
  assert.equal(second.status, 400);
  assert.equal((await second.json()).error, "InvalidRequest");
  assert.equal(second.headers.get("content-type"), "application/json");
  assert.match(attestationOf(second).moduleId, /^i-/);
  assert.equal((await sealed(`${url}/status?a=b`)).status, 404);
  const paths = sent.map(({ target }) => new URL(target).pathname);
  assert.deepEqual(paths, ["/rpc/Attestation/Document", ...Array(3).fill("/rpc/Channel/Sealed")]);
  const envelopes = sent.slice(1).map(({ init }) => Buffer.from(init.body));
  assert.equal(new Set(envelopes.map((envelope) => envelope.length)).size, 1);
  for (const envelope of envelopes) assert.equal(envelope.includes("secret"), false);
});

test("a large body and a large nonce header fit their buckets", async () => {
  await trick("none");
  const sealed = createSealedFetch(sealing);
  for (const size of [0, 1, 900, 1000, 4000, 16_000, 60_000]) {
    const response = await sealed(`${url}${COMMIT}`, { method: "POST", body: new Uint8Array(size) });
    assert.equal(response.status, 400);
  }
  await assert.rejects(sealed(`${url}${COMMIT}`, { method: "POST", body: new Uint8Array(65_000) }), refuses("channel-too-large"));
  const nonce = { "x-attestation-nonce": "a".repeat(32) };
  const attested = await sealed(`${url}/status`, { headers: nonce });
  assert.ok(attested.headers.get("x-attestation-document").length > 4000);
});

test("parallel first requests attest once", async () => {
  await trick("none");
  const sent = [];
  const recording = (target, init) => (sent.push(target), fetch(target, init));
  const sealed = createSealedFetch({ ...sealing, fetch: recording });
  const responses = await Promise.all(Array.from({ length: 5 }, () => sealed(`${url}/status`)));
  assert.deepEqual(responses.map(({ status }) => status), Array(5).fill(200));
  assert.equal(sent.filter((target) => target.endsWith("Document")).length, 1);
});

const SEALED_TRICKS = {
  plain: "channel-unsealed",
  "plain-error": "channel-unsealed",
  "odd-error": "channel-unsealed",
  "flip-sealed": "channel-unopened",
  "cut-sealed": "channel-malformed",
  "lie-once": "channel-unsealed",
  "lie-always": "channel-unsealed",
  "no-attestation": "input-unreachable",
  "empty-attestation": "input-unreachable",
  endless: "channel-too-large",
};
for (const [name, code] of Object.entries(SEALED_TRICKS)) {
  test(`sealed fetch refuses the trick ${name}`, async () => {
    await trick(name);
    await assert.rejects(createSealedFetch(sealing)(`${url}/status`), refuses(code));
  });
}

test("what an unsealed answer says is repeated only if it is a name", async () => {
  await trick("odd-error");
  await assert.rejects(createSealedFetch(sealing)(`${url}/status`), { detail: "status 500" });
  await trick("lie-once");
  await assert.rejects(createSealedFetch(sealing)(`${url}/status`), { detail: "status 409, ChannelReplayed" });
});

test("a repeated document and a repeated sealed answer are refused", async () => {
  await trick("repeat");
  const sealed = createSealedFetch(sealing);
  assert.equal((await sealed(`${url}/status`)).status, 200);
  await assert.rejects(sealed(`${url}/status`), refuses("channel-unopened"));
  await assert.rejects(createSealedFetch(sealing)(`${url}/status`), refuses("nonce-mismatch"));
});

test("a rebooted enclave is attested again and asked again", async () => {
  await trick("none");
  const sealed = createSealedFetch(sealing);
  const before = attestationOf(await sealed(`${url}/status`));
  await trick("reboot");
  const after = attestationOf(await sealed(`${url}/status`));
  assert.notEqual(before, after);
});

test("a pin ends with its time", async (context) => {
  await trick("none");
  const sent = [];
  const recording = (target, init) => (sent.push(target), fetch(target, init));
  const sealed = createSealedFetch({ ...sealing, fetch: recording, pinMs: 60_000 });
  const documents = () => sent.filter((target) => target.endsWith("Document")).length;
  await sealed(`${url}/status`);
  const { now } = Date;
  context.mock.method(Date, "now", () => now() + 50_000);
  await sealed(`${url}/status`);
  assert.equal(documents(), 1);
  context.mock.method(Date, "now", () => now() + 61_000);
  await assert.doesNotReject(sealed(`${url}/status`));
  assert.equal(documents(), 2);
});

test("what the document binds may be demanded", async () => {
  await trick("none");
  assert.equal((await createSealedFetch({ ...sealing, deployment: "test-deployment" })(`${url}/status`)).status, 200);
  for (const demand of [
    { deployment: "other-deployment" },
    { configHash: new Uint8Array(32) },
    { identityKey: new Uint8Array(33) },
    { identityKey: null },
    { deployment: 1 },
  ]) {
    await assert.rejects(createSealedFetch({ ...sealing, ...demand })(`${url}/status`), refuses("binding-mismatch"));
  }
});

test("requests for another service go nowhere", async () => {
  const silent = createSealedFetch({ ...sealing, fetch: () => assert.fail("sent") });
  await assert.rejects(silent("https://other.example/status"), refuses("channel-elsewhere"));
});

test("an aborted request ends", async () => {
  await trick("none");
  const signal = AbortSignal.abort();
  await assert.rejects(createAttestedFetch(trusting)(`${url}/status`, { signal }), { name: "AbortError" });
  await assert.rejects(createSealedFetch(sealing)(`${url}/status`, { signal }), { name: "AbortError" });
});
