// The table of documents, as the Python verifier judged them, judged again.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import * as verifier from "../../../attestation/js/chancery-fetch.js";
import { differences } from "./judge.mjs";

const rows = JSON.parse(readFileSync(process.env.CHANCERY_TABLE, "utf8"));

test(`the verdicts on ${rows.length} documents are those of the Python verifier`, async () => {
  assert.deepEqual(await differences(verifier, rows), []);
});
