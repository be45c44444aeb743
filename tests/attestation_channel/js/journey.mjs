// What a user's page does with an appliance, the same in Node and in a browser: refuse strangers, log in, sign.

const INSTRUMENT = "/rpc/IdentityInstrument";
const SCOPE = "@123";

/** Runs against the appliance of `facts`; what a page would show, or an error. Nothing but the two kinds of fetch talks to it. */
export async function journey(verifier, facts, answerTo) {
  const root = Uint8Array.from(atob(facts.root), (char) => char.charCodeAt(0));
  const trusting = { expectedPcrs: facts.pcrs, roots: [root] };
  const seen = { refused: await refusals(verifier, facts, root) };
  const attested = verifier.createAttestedFetch(trusting);
  const sealed = verifier.createSealedFetch({ url: facts.url, ...trusting, deployment: facts.deployment });
  seen.status = await (await attested(`${facts.url}/status`)).json();
  seen.unsigned = (await sealed(facts.url + `${INSTRUMENT}/Sign`, post({ params: {} }))).status;
  const device = await newDevice();
  const call = async (fetch, method, params) => {
    const response = await fetch(`${facts.url}${INSTRUMENT}/${method}`, post(await signed(device, params)));
    const body = await response.json();
    if (!response.ok) throw new Error(`${method}: ${JSON.stringify(body)}`);
    return body;
  };
  const login = { identityType: "Email", authMode: "OTP", scope: SCOPE };
  const started = await call(sealed, "CommitVerifier", { ...login, handle: facts.email, metadata: {} });
  const answer = await answerTo(facts.email, started.challenge);
  const completing = { ...login, verifier: started.verifier, answer, signerType: "Ethereum_Secp256k1" };
  const { signer } = await call(sealed, "CompleteAuth", completing);
  for (const [kind, fetch] of Object.entries({ sealed, attested })) {
    const digest = `0x${verifier.toHex(crypto.getRandomValues(new Uint8Array(32)))}`;
    const nonce = `0x${Date.now().toString(16)}${kind === "sealed" ? "0" : "1"}`;
    const { signature } = await call(fetch, "Sign", { scope: SCOPE, signer, nonce, digest });
    seen[kind] = { signer: signer.address, digest, signature };
  }
  return seen;
}

/** The codes with which strangers are refused. */
async function refusals(verifier, { url, pcrs }, root) {
  const otherImage = { expectedPcrs: { ...pcrs, 0: pcrs[1] }, roots: [root] };
  const attempts = [
    verifier.createAttestedFetch({ expectedPcrs: pcrs })(`${url}/status`),
    verifier.createSealedFetch({ url, expectedPcrs: pcrs })(`${url}/status`),
    verifier.createAttestedFetch(otherImage)(`${url}/status`),
    verifier.createSealedFetch({ url, ...otherImage })(`${url}/status`),
  ];
  const outcomes = await Promise.allSettled(attempts);
  return outcomes.map(({ status, reason }) => (status === "rejected" ? reason.code ?? `${reason}` : status));
}

function post(value) {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}

async function newDevice() {
  const { privateKey, publicKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
  return { privateKey, publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)) };
}

async function signed({ privateKey, publicKey }, params) {
  const data = new TextEncoder().encode(canonical(params));
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, data);
  const hex = (bytes) => `0x${Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const authKey = { keyType: "WebCrypto_Secp256r1", address: hex(publicKey) };
  return { params, authKey, signature: hex(signature) };
}

/** RFC 8785 for objects of ASCII texts. */
function canonical(value) {
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}
