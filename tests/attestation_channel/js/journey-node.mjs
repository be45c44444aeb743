// Runs the journey under Node: facts and answers come over standard input and output, one JSON line each.

import { createInterface } from "node:readline/promises";

import * as verifier from "../../../attestation/js/chancery-fetch.js";
import { journey } from "./journey.mjs";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (value) => console.log(JSON.stringify(value));
const hear = async () => JSON.parse((await lines.next()).value);

const facts = await hear();
const seen = await journey(verifier, facts, async (email, challenge) => {
  say({ challenge });
  return hear();
});
say({ seen });
process.exit(0);
