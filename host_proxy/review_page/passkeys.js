/** Passkeys of reviewers: what they sign, how their answers are written, and the entry that rules name one by. */

const DECISION_FORMAT = "chancery/guard-review-decision/1";
const ALGORITHMS = [-7, -8, -257]; // those that the guard takes: ES256, EdDSA, RS256
const HEAD_BYTES = 37;
const AAGUID_BYTES = 16;
const EXTENSIONS = 0x80;

/** Unpadded base64url. */
export function encode(buffer) {
  const text = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function decode(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}

async function sha256(text) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** What a passkey signs for a decision about `statement`. The members are in the order of RFC 8785. */
export async function challengeOf(statement, decision) {
  const hash = Array.from(await sha256(statement), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return sha256(JSON.stringify({ decision, format: DECISION_FORMAT, statement: hash }));
}

/** The assertion of one of `credentials` over `challenge`, as the guard takes it. */
export async function signWith(challenge, site, credentials) {
  const allowCredentials = credentials.map((id) => ({ type: "public-key", id: decode(id) }));
  const publicKey = { challenge, rpId: site, allowCredentials, userVerification: "required" };
  const { id, type, response } = await navigator.credentials.get({ publicKey });
  const { clientDataJSON, authenticatorData, signature } = response;
  const parts = { clientDataJSON, authenticatorData, signature };
  const encoded = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, encode(part)]));
  return JSON.stringify({ id, type, response: encoded });
}

/** A new passkey for this page's site, as a rule document names it. */
export async function entryOf(name) {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)), // nobody is asked to believe this answer
      rp: { id: location.hostname, name: "Guard reviews" },
      user: { id: crypto.getRandomValues(new Uint8Array(16)), name, displayName: name },
      pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
      attestation: "none",
    },
  });
  const data = new Uint8Array(made.response.getAuthenticatorData());
  const start = HEAD_BYTES + AAGUID_BYTES + 2;
  if (data[32] & EXTENSIONS) throw new Error("this authenticator adds extensions that nobody asked for");
  const idBytes = (data[start - 2] << 8) | data[start - 1];
  return { name, credential: made.id, public_key: encode(data.slice(start + idBytes)) };
}
