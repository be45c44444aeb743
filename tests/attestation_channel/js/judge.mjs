// The table of documents (tests/attestation_channel/document_table.py), judged by the JavaScript verifier.

const NOW_MS = Date.UTC(2026, 2, 1, 12);
const image = (fill) =>
  Object.fromEntries([0, 1, 2].map((index) => [index, (fill + index).toString(16).padStart(2, "0").repeat(48)]));
const bytes = (text) => (text === null ? undefined : Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));

function policies({ anyImage, anyOf, debugImage, measurements }) {
  return {
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
    careless: { validate: () => "image" },
    silent: { validate() {} },
  };
}

async function verdict(verifier, policy, row) {
  const demands = {
    policy,
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

/** The rows on which the verdict is another than the Python verifier's, in words. */
export async function differences(verifier, rows) {
  const known = policies(verifier);
  const different = [];
  for (const row of rows) {
    const found = await verdict(verifier, known[row.policy], row);
    const agrees = row.exact ? found === row.expected : (found === null) === (row.expected === null);
    if (!agrees) different.push(`${row.name}: ${found} instead of ${row.expected}`);
  }
  return different;
}
