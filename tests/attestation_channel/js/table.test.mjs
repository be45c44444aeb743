// The table of documents, as the Python verifier judged them, judged again (tests/attestation_channel/document_table.py).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as verifier from "../../../attestation/js/chancery-fetch.js";

const NOW_MS = Date.UTC(2026, 2, 1, 12);
const image = (fill) => Object.fromEntries([0, 1, 2].map((index) => [index, hex(fill + index).repeat(48)]));
const hex = (byte) => byte.toString(16).padStart(2, "0");
const { anyImage, anyOf, debugImage, measurements } = verifier;

const POLICIES = {
  any: anyImage(),
  debug: debugImage(),
  either: anyOf(anyImage(), debugImage()),
  image: measurements(image(0x11)),
  other: measurements(image(0x44)),
  expired: measurements(image(0x11), { expiresMs: NOW_MS - 1 }),
  "expires now": measurements(image(0x11), { expiresMs: NOW_MS }),
  "with PCR16": measurements({ ...image(0x11), 16: "00".repeat(48) }),
  "one of two": anyOf(measurements(image(0x44)), measurements(image(0x11))),
  none: anyOf(),
};
const bytes = (text) => (text === null ? undefined : Uint8Array.from(Buffer.from(text, "base64")));

async function verdict(row) {
  const demands = {
    policy: POLICIES[row.policy],
    nowMs: row.now_ms,
    asOfMs: row.as_of_ms,
    nonce: bytes(row.nonce),
    userData: bytes(row.user_data),
    maxAgeMs: row.max_age_ms ?? undefined,
    ...(row.root === null ? {} : { roots: [bytes(row.root)] }),
  };
  try {
    await verifier.verifyDocument(bytes(row.document), demands);
    return null;
  } catch (error) {
    if (!(error instanceof verifier.AttestationError)) throw error;
    return error.code;
  }
}

const rows = JSON.parse(readFileSync(process.env.CHANCERY_TABLE, "utf8"));

test(`the verdicts on ${rows.length} documents are those of the Python verifier`, async () => {
  const different = [];
  for (const row of rows) {
    const found = await verdict(row);
    const agrees = row.exact ? found === row.expected : (found === null) === (row.expected === null);
    if (!agrees) different.push(`${row.name}: ${found} instead of ${row.expected}`);
  }
  assert.deepEqual(different, []);
});
