/**
 * Drop-in `fetch` functions that believe nothing but an attested Nitro enclave. For browsers and Node 20 or later.
 *
 *     import { createAttestedFetch, createSealedFetch } from "./chancery-fetch.js";
 *     const fetch = createAttestedFetch({ expectedPcrs: { 0: "…", 1: "…", 2: "…" } });
 *     const fetch = createSealedFetch({ url, expectedPcrs: { 0: "…", 1: "…", 2: "…" } });
 *
 * Trust side: client. An attested fetch sends plain requests and verifies the document that comes with each answer:
 * what goes out can be read on the way, what comes back cannot be forged. A sealed fetch verifies the enclave first and
 * then encrypts every request to the channel key that it attested (HPKE, RFC 9180), so that nobody on the way reads
 * either.
 *
 * Both fail closed: no document, another image, an old one, an altered answer, all end in an `AttestationError` with a
 * stable `code`, and there is no option that turns a check off. Amazon's root is built in; another root counts only if
 * its certificate is passed as a value. The rules and codes are those of the Python verifier (`attestation/*.py`); a
 * common table of documents keeps the two alike. Needs WebCrypto with P-384 and, for sealing, X25519. No dependencies.
 */

// --- constants: the same values as in protocol/limits.py and attestation/channel.py, compared by a test ---

export const LIMITS = Object.freeze({
  MAX_ATTESTATION_DOCUMENT_BYTES: 16_384,
  MAX_ATTESTATION_FIELD_BYTES: 1024,
  MAX_CERTIFICATE_BYTES: 1024,
  MAX_CABUNDLE_CERTIFICATES: 8,
  MAX_MODULE_ID_CHARS: 100,
  MAX_FUTURE_SKEW_MS: 60_000,
  MAX_FRAME_BYTES: 524_288,
  MAX_DEPLOYMENT_CHARS: 64,
  MAX_METHOD_CHARS: 128,
  MAX_SEALED_REQUEST_BYTES: 64_512,
  MAX_SEALED_RESPONSE_BYTES: 505_856,
});
export const BUCKETS = Object.freeze([1024, 4096, 16_384, 64_512, 258_048, 505_856]);
export const DEFAULT_MAX_AGE_MS = 300_000;
export const DEFAULT_PIN_MS = 900_000;

const DOCUMENT_PATH = "/rpc/Attestation/Document";
const SEALED_PATH = "/rpc/Channel/Sealed";
const CBOR_TYPE = "application/cbor";
const CHANNEL_KEY_UNKNOWN = 7316;
const BINDING_CONTEXT = "chancery/enclave-binding/1";
const REQUEST_CONTEXT = "chancery/channel/1/request";
const REPLY_CONTEXT = "chancery/channel/1/reply";

const PCR_BYTES = 48;
const PCR_COUNT = 32;
const BOOT_PCRS = 16; // locked at boot, hence in every genuine document
const IMAGE_PCRS = [0, 1, 2]; // only together do they name an image (AT-11)
const EARLIEST_MS = 1_546_300_800_000; // no enclave is older than the root
const LATEST_MS = 253_402_300_800_000;
const P384_ORDER = BigInt(
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);
const ECDSA_SHA384 = { name: "ECDSA", hash: "SHA-384" };
const P384 = { name: "ECDSA", namedCurve: "P-384" };

/** Whatever was not verified. `code` is stable; `detail` is for people. */
export class AttestationError extends Error {
  constructor(code, detail = "") {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "AttestationError";
    this.code = code;
    this.detail = detail;
  }
}

// --- bytes ---

const utf8 = new TextEncoder();
const strictText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const EMPTY = new Uint8Array(0);

function concat(...parts) {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  parts.reduce((at, part) => (joined.set(part, at), at + part.length), 0);
  return joined;
}

function equal(a, b) {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function startsWith(data, prefix) {
  return equal(data.subarray(0, prefix.length), prefix);
}

export function toHex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text) {
  if (typeof text !== "string" || !/^(?:[0-9a-f]{2})*$/i.test(text)) throw new TypeError("not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function toBase64(data) {
  return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
}

/** Padded base64, or null when `text` is none. */
function fromBase64(text) {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null;
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function toBase64Url(data) {
  return toBase64(data).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text) {
  const padded = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(padded + "=".repeat((4 - (padded.length % 4)) % 4));
}

function random(size) {
  return crypto.getRandomValues(new Uint8Array(size));
}

async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

// --- CBOR (RFC 8949): one encoding for each value, no tags; maps become `Map`s ---

class CborError extends Error {}
const SIMPLE = new Map([
  [20, false],
  [21, true],
  [22, null],
]);
const OTHER = Symbol("a CBOR value of no use here"); // undefined, other simple values, floating point

class CborReader {
  #data;
  #at = 0;
  #maxDepth;
  #sorted;

  /** `sorted` demands length-first order of map keys (section 4.2.3), which the hardware does not follow. */
  constructor(data, { maxDepth, sorted }) {
    this.#data = data;
    this.#maxDepth = maxDepth;
    this.#sorted = sorted;
  }

  /** The one item in the data. `indefiniteMap` says that it is a map that ends with a break. */
  static decode(data, { maxDepth, sorted = false, indefiniteMap = false }) {
    const reader = new CborReader(data, { maxDepth, sorted });
    const value = indefiniteMap ? reader.#indefiniteMap() : reader.#item(0);
    if (reader.#at !== data.length) throw new CborError();
    return value;
  }

  #bytes(count) {
    if (count > this.#data.length - this.#at) throw new CborError();
    this.#at += count;
    return this.#data.subarray(this.#at - count, this.#at);
  }

  #head() {
    const [first] = this.#bytes(1);
    const [major, info] = [first >> 5, first & 31];
    if (info < 24) return { major, info, value: info };
    if (info > 27) throw new CborError(); // reserved, or of indefinite length
    const value = this.#bytes(1 << (info - 24)).reduce((sum, byte) => sum * 256 + byte, 0);
    const least = [24, 0x100, 0x10000, 0x100000000][info - 24];
    if (major !== 7 && value < least) throw new CborError();
    return { major, info, value };
  }

  #item(depth) {
    const { major, info, value } = this.#head();
    switch (major) {
      case 0:
        return value;
      case 1:
        return -1 - value;
      case 2:
        return this.#bytes(value);
      case 3:
        try {
          return strictText.decode(this.#bytes(value));
        } catch {
          throw new CborError();
        }
      case 4:
        this.#enter(depth, value);
        return Array.from({ length: value }, () => this.#item(depth + 1));
      case 5: {
        this.#enter(depth, 2 * value);
        const map = new Map();
        let last = EMPTY;
        for (let left = value; left > 0; left--) last = this.#member(map, depth, last);
        return map;
      }
      case 7:
        if (info === 24 && value < 32) throw new CborError();
        return info < 24 && SIMPLE.has(value) ? SIMPLE.get(value) : OTHER;
      default:
        throw new CborError(); // a tag
    }
  }

  #enter(depth, items) {
    // Every item takes a byte at least, so nothing is allocated for a length that is not there.
    if (depth >= this.#maxDepth || items > this.#data.length - this.#at) throw new CborError();
  }

  #member(map, depth, last) {
    const start = this.#at;
    const key = this.#item(depth + 1);
    const encoded = this.#data.subarray(start, this.#at);
    if (map.has(key) || (this.#sorted && !isBefore(last, encoded))) throw new CborError();
    map.set(key, this.#item(depth + 1));
    return encoded;
  }

  #indefiniteMap() {
    this.#bytes(1);
    const map = new Map();
    while (this.#data[this.#at] !== 0xff) this.#member(map, 0, EMPTY);
    this.#bytes(1);
    return map;
  }
}

function isBefore(a, b) {
  if (a.length !== b.length) return a.length < b.length;
  const different = a.findIndex((byte, index) => byte !== b[index]);
  return different >= 0 && a[different] < b[different];
}

function cborHead(major, value) {
  const size = [24, 0x100, 0x10000].findIndex((bound) => value < bound);
  if (size === 0) return Uint8Array.of((major << 5) | value);
  if (size === 1) return Uint8Array.of((major << 5) | 24, value);
  if (size === 2) return Uint8Array.of((major << 5) | 25, value >> 8, value & 0xff);
  return Uint8Array.of((major << 5) | 26, value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** The deterministic encoding of small numbers, bytes, text, arrays and objects with text keys. */
function cborEncode(value) {
  if (typeof value === "number") return cborHead(0, value);
  if (value instanceof Uint8Array) return concat(cborHead(2, value.length), value);
  if (typeof value === "string") {
    const bytes = utf8.encode(value);
    return concat(cborHead(3, bytes.length), bytes);
  }
  if (Array.isArray(value)) return concat(cborHead(4, value.length), ...value.map(cborEncode));
  const members = Object.entries(value).map(([name, member]) => [cborEncode(name), cborEncode(member)]);
  members.sort(([a], [b]) => (isBefore(a, b) ? -1 : 1));
  return concat(cborHead(5, members.length), ...members.flat());
}

// --- DER (X.690), as much as certificates need ---

class DerError extends Error {}
const SEQUENCE = 0x30;
const SET = 0x31;
const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** Reads the elements of one constructed value, strictly. */
class DerReader {
  #data;
  #at = 0;

  constructor(data) {
    this.#data = data;
  }

  get isDone() {
    return this.#at === this.#data.length;
  }

  nextIs(tag) {
    return this.#data[this.#at] === tag;
  }

  /** The next element: `whole` with header, and its content. */
  element(tag = undefined) {
    const start = this.#at;
    const found = this.#data[this.#at++];
    if (found === undefined || (tag !== undefined && found !== tag) || (found & 0x1f) === 0x1f) throw new DerError();
    let length = this.#data[this.#at++];
    if (length >= 0x80) {
      const size = length & 0x7f;
      const digits = this.#data.subarray(this.#at, this.#at + size);
      length = digits.reduce((sum, byte) => sum * 256 + byte, 0);
      if (size < 1 || size > 3 || digits.length !== size || digits[0] === 0 || length < 0x80) throw new DerError();
      this.#at += size;
    }
    if (!(length <= this.#data.length - this.#at)) throw new DerError();
    const content = this.#data.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag: found, content, whole: this.#data.subarray(start, this.#at) };
  }

  content(tag) {
    return this.element(tag).content;
  }

  /** The elements of the next constructed value; `read` must consume them all. */
  inside(tag, read) {
    return readAll(this.content(tag), read);
  }

  /** A BOOLEAN that is only encoded when true. */
  flag() {
    if (!this.nextIs(0x01)) return false;
    const content = this.content(0x01);
    if (content.length !== 1 || content[0] !== 0xff) throw new DerError();
    return true;
  }

  /** An INTEGER of at most `maxBytes`, not negative, without its sign byte. */
  unsigned(maxBytes) {
    const content = this.content(0x02);
    const padded = content[0] === 0;
    const redundant = content.length > 1 && padded && content[1] < 0x80;
    if (content.length === 0 || content[0] >= 0x80 || redundant) throw new DerError();
    const digits = padded && content.length > 1 ? content.subarray(1) : content;
    if (digits.length > maxBytes) throw new DerError();
    return digits;
  }

  objectIdentifier() {
    const content = this.content(0x06);
    const starts = content.filter((_, index) => index === 0 || content[index - 1] < 0x80);
    if (content.length === 0 || content.at(-1) >= 0x80 || starts.includes(0x80)) throw new DerError();
    return toHex(content);
  }

  /** A BIT STRING's bytes; the bits that are not used are zero. */
  bits() {
    const content = this.content(0x03);
    const [unused, last] = [content[0], content.at(-1)];
    if (!(unused < 8) || (content.length === 1 ? unused !== 0 : last & ((1 << unused) - 1))) throw new DerError();
    return { unused, bytes: content.subarray(1) };
  }

  time() {
    const { tag, content } = this.element();
    const pattern = tag === 0x17 ? UTC_TIME : tag === 0x18 ? GENERALIZED_TIME : null;
    const match = pattern?.exec(String.fromCharCode(...content.subarray(0, 20)));
    if (!match) throw new DerError();
    const [year, ...rest] = match.slice(1).map(Number);
    const full = tag === 0x18 ? year : year + (year < 50 ? 2000 : 1900);
    const date = new Date(0);
    date.setUTCFullYear(full, rest[0] - 1, rest[1]);
    date.setUTCHours(rest[2], rest[3], rest[4]);
    const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
    // A date that does not exist would have become another one.
    if ([date.getUTCMonth() + 1, date.getUTCDate(), ...time].some((part, index) => part !== rest[index])) {
      throw new DerError();
    }
    return date.getTime();
  }
}

/** What `read` gives for each of the elements that are left. */
function each(reader, read) {
  const found = [];
  while (!reader.isDone) found.push(read());
  return found;
}

function readAll(data, read) {
  const reader = new DerReader(data);
  const value = read(reader);
  if (!reader.isDone) throw new DerError();
  return value;
}

/** Throws unless `data` is made of whole elements, down to the last primitive one. */
function requireWellFormed(data) {
  const reader = new DerReader(data);
  while (!reader.isDone) {
    const { tag, content } = reader.element();
    if (tag & 0x20) requireWellFormed(content);
  }
}

// --- certificates and their chain (AT-07 to AT-09; attestation/certificate.py, attestation/chain.py) ---

const VERSION_3 = fromHex("a003020102");
const ECDSA_WITH_SHA384 = fromHex("300a06082a8648ce3d040303");
const P384_KEY = fromHex("3076301006072a8648ce3d020106052b8104002203620004"); // up to the point's coordinates
const P384_POINT_BYTES = 97;
const BASIC_CONSTRAINTS = "551d13";
const KEY_USAGE = "551d0f";
/** Extensions that decide nothing and need only be readable. */
const READERS = {
  "551d0e": (value) => value.content(0x04), // subject key identifier
  "551d23": (value) => requireWellFormed(value.content(SEQUENCE)), // authority key identifier
  "551d1f": (value) => requireWellFormed(value.content(SEQUENCE)), // CRL distribution points
  "551d25": (value) => value.inside(SEQUENCE, (list) => each(list, () => list.objectIdentifier())), // extended usage
};

/** One certificate, all of it in the profile; its signature is not verified yet. */
async function parseCertificate(der) {
  let parts, key, extensions;
  try {
    parts = splitCertificate(der);
    extensions = parts.extensions.map(parseExtension);
    const names = extensions.map(({ id }) => id);
    if (new Set(names).size !== names.length) throw new DerError();
    if (startsWith(parts.spki, P384_KEY)) {
      const point = parts.spki.subarray(-P384_POINT_BYTES);
      key = await crypto.subtle.importKey("raw", point, P384, false, ["verify"]);
    }
  } catch {
    throw new AttestationError("certificate-malformed");
  }
  if (!equal(parts.version, VERSION_3)) throw new AttestationError("certificate-malformed", "not version 3");
  if (![parts.innerAlgorithm, parts.outerAlgorithm].every((found) => equal(found, ECDSA_WITH_SHA384))) {
    throw new AttestationError("certificate-algorithm");
  }
  if (key === undefined) throw new AttestationError("certificate-key");
  for (const { id, critical, constraints, usage } of extensions) {
    if (constraints?.ca && !critical) throw new AttestationError("certificate-authority", "not marked critical");
    if (!constraints && !usage && critical) throw new AttestationError("certificate-extension", id);
  }
  const constraints = extensions.find((each) => each.constraints)?.constraints;
  const usage = extensions.find((each) => each.usage)?.usage;
  return {
    ...parts,
    key,
    isAuthority: constraints?.ca ?? false,
    pathLength: constraints?.pathLength ?? null,
    maySignCertificates: usage?.signCertificates ?? false,
    maySignDocuments: usage?.sign ?? false,
  };
}

function splitCertificate(der) {
  return readAll(der, (outer) =>
    outer.inside(SEQUENCE, (certificate) => {
      const { whole: covered, content } = certificate.element(SEQUENCE);
      const outerAlgorithm = certificate.element(SEQUENCE).whole;
      const { unused, bytes: signature } = certificate.bits();
      if (unused !== 0) throw new DerError();
      return { covered, outerAlgorithm, signature, ...readAll(content, splitCovered) };
    }),
  );
}

function splitCovered(covered) {
  // Without a version it is 1, and the serial number comes first.
  const version = covered.nextIs(0xa0) ? covered.element(0xa0).whole : EMPTY;
  const serialNumber = covered.unsigned(LIMITS.MAX_CERTIFICATE_BYTES);
  if (isZero(serialNumber)) throw new DerError(); // RFC 5280 4.1.2.2
  const innerAlgorithm = covered.element(SEQUENCE).whole;
  const issuer = readName(covered);
  const [notBeforeMs, notAfterMs] = covered.inside(SEQUENCE, (validity) => [validity.time(), validity.time()]);
  const subject = readName(covered);
  const spki = covered.element(SEQUENCE).whole;
  requireWellFormed(concat(innerAlgorithm, spki));
  for (const uniqueId of [0x81, 0x82]) if (covered.nextIs(uniqueId)) covered.element();
  const extensions = covered.isDone ? [] : covered.inside(0xa3, (list) => list.inside(SEQUENCE, readExtensions));
  return { version, innerAlgorithm, issuer, subject, spki, notBeforeMs, notAfterMs, extensions };
}

function readExtensions(list) {
  const readOne = (extension) => ({
    id: extension.objectIdentifier(),
    critical: extension.flag(),
    value: extension.content(0x04),
  });
  return each(list, () => list.inside(SEQUENCE, readOne));
}

/** A name as DER: names are compared as bytes. */
function readName(reader) {
  const { whole, content } = reader.element(SEQUENCE);
  const readAttribute = (attribute) => (attribute.objectIdentifier(), attribute.element());
  const readSet = (set) => each(set, () => set.inside(SEQUENCE, readAttribute));
  readAll(content, (names) => each(names, () => names.inside(SET, readSet)));
  return whole;
}

function parseExtension({ id, critical, value }) {
  if (id === BASIC_CONSTRAINTS) return { id, critical, constraints: readAll(value, readConstraints) };
  if (id === KEY_USAGE) return { id, critical, usage: readUsage(readAll(value, (reader) => reader.bits()).bytes) };
  if (Object.hasOwn(READERS, id)) readAll(value, READERS[id]);
  return { id, critical };
}

function readConstraints(outer) {
  return outer.inside(SEQUENCE, (reader) => {
    const ca = reader.flag();
    if (reader.isDone) return { ca, pathLength: null };
    const pathLength = reader.unsigned(8).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!ca) throw new DerError();
    return { ca, pathLength };
  });
}

function readUsage(bits) {
  const has = (number) => (((bits[number >> 3] ?? 0) << (number & 7)) & 0x80) !== 0;
  const [agreement, encipherOnly, decipherOnly] = [has(4), has(7), has(8)];
  if (!agreement && (encipherOnly || decipherOnly)) throw new DerError();
  return { sign: has(0), signCertificates: has(5) };
}

/** The raw r ‖ s of a DER signature, or null when it is none. */
function rawSignature(der) {
  try {
    const numbers = readAll(der, (outer) => outer.inside(SEQUENCE, (pair) => [pair.unsigned(48), pair.unsigned(48)]));
    return concat(...numbers.map((number) => concat(new Uint8Array(48 - number.length), number)));
  } catch {
    return null;
  }
}

/** Proves the path from the first certificate, a trusted root, to the last, an enclave's. Time is not looked at. */
async function verifyChain(certificates) {
  const place = (index) => `certificate ${index + 1} from the root`;
  let last = await parseAuthority(certificates[0], place(0));
  let left = last.pathLength ?? LIMITS.MAX_CABUNDLE_CERTIFICATES; // authorities that may still follow
  const validity = { notBeforeMs: last.notBeforeMs, notAfterMs: last.notAfterMs };
  for (let index = 1; index < certificates.length; index++) {
    const isEnclave = index === certificates.length - 1;
    if (!isEnclave && left < 1) throw new AttestationError("certificate-path-length", place(index));
    const next = await (isEnclave ? parseEnclave : parseAuthority)(certificates[index], place(index));
    if (!equal(next.issuer, last.subject)) throw new AttestationError("certificate-issuer", "another name");
    const signature = rawSignature(next.signature);
    if (!signature || !(await crypto.subtle.verify(ECDSA_SHA384, last.key, signature, next.covered))) {
      throw new AttestationError("certificate-issuer", "the signature does not match");
    }
    left = Math.min(left - 1, next.pathLength ?? LIMITS.MAX_CABUNDLE_CERTIFICATES);
    validity.notBeforeMs = Math.max(validity.notBeforeMs, next.notBeforeMs);
    validity.notAfterMs = Math.min(validity.notAfterMs, next.notAfterMs);
    last = next;
  }
  return { key: last.key, ...validity };
}

async function parseAuthority(der, place) {
  const certificate = await parseCertificate(der);
  if (!certificate.isAuthority) throw new AttestationError("certificate-authority", `${place} is none`);
  if (!certificate.maySignCertificates) throw new AttestationError("certificate-key-usage", place);
  return certificate;
}

async function parseEnclave(der) {
  const certificate = await parseCertificate(der);
  if (certificate.isAuthority) throw new AttestationError("certificate-authority", "the enclave's certificate is one");
  if (certificate.maySignCertificates || !certificate.maySignDocuments) {
    throw new AttestationError("certificate-key-usage", "the enclave's certificate");
  }
  return certificate;
}

// --- documents (AT-01 to AT-06; attestation/document.py) ---

const ES384_PROTECTED = fromHex("a1013822");
const REQUIRED = ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"];
const FREE = ["public_key", "user_data", "nonce"];

/** The document in `data`, syntax only: nothing in it is verified. */
export function parseAttestationDocument(data) {
  if (data.length > LIMITS.MAX_ATTESTATION_DOCUMENT_BYTES) throw new AttestationError("document-too-large");
  const sign1 = parseSign1(data);
  if (!equal(sign1.protected, ES384_PROTECTED)) throw new AttestationError("document-algorithm");
  if (sign1.signature.length !== 96) throw new AttestationError("cose-signature-form");
  const fields = parsePayload(sign1.payload);
  if (fields.get("digest") !== "SHA384") throw new AttestationError("document-field", "digest");
  const moduleId = fields.get("module_id");
  if (!/^[\x21-\x7e]+$/.test(moduleId) || moduleId.length > LIMITS.MAX_MODULE_ID_CHARS) {
    throw new AttestationError("document-field", "module_id");
  }
  const timestampMs = fields.get("timestamp");
  if (!(timestampMs >= EARLIEST_MS && timestampMs < LATEST_MS)) {
    throw new AttestationError("document-field", "timestamp");
  }
  return {
    sign1,
    moduleId,
    timestampMs,
    pcrs: parsePcrs(fields.get("pcrs")),
    certificates: parseCertificates(fields.get("cabundle"), fields.get("certificate")),
    publicKey: freeField(fields, "public_key"),
    userData: freeField(fields, "user_data"),
    nonce: freeField(fields, "nonce"),
  };
}

function parseSign1(data) {
  const untagged = data[0] === 0xd2 ? data.subarray(1) : data;
  const parts = decodeOr("cose-malformed", untagged, { maxDepth: 2 });
  const [protectedHeader, unprotected, payload, signature] = Array.isArray(parts) ? parts : [];
  const areBytes = [protectedHeader, payload, signature].every((part) => part instanceof Uint8Array);
  if (!areBytes || parts.length !== 4 || !(unprotected instanceof Map) || unprotected.size !== 0) {
    throw new AttestationError("cose-malformed");
  }
  return { protected: protectedHeader, payload, signature };
}

function parsePayload(payload) {
  const fields = decodeOr("document-malformed", payload, { maxDepth: 2, indefiniteMap: payload[0] === 0xbf });
  if (!(fields instanceof Map) || ![...fields.keys()].every((name) => typeof name === "string")) {
    throw new AttestationError("document-malformed");
  }
  if (fields.has("nitrotpm_pcrs")) throw new AttestationError("document-nitrotpm");
  const missing = REQUIRED.filter((name) => !fields.has(name));
  if (missing.length) throw new AttestationError("document-field", `${missing[0]} is missing`);
  const unknown = [...fields.keys()].some((name) => !REQUIRED.includes(name) && !FREE.includes(name));
  if (unknown) throw new AttestationError("document-field", "an unknown one");
  const [moduleId, digest, timestamp, pcrs, , cabundle] = REQUIRED.map((name) => fields.get(name));
  const areRight = typeof moduleId === "string" && typeof digest === "string" && Number.isInteger(timestamp);
  if (!areRight || !(pcrs instanceof Map) || !Array.isArray(cabundle)) throw new AttestationError("document-field");
  return fields;
}

function decodeOr(code, data, options) {
  try {
    return CborReader.decode(data, options);
  } catch (error) {
    if (error instanceof CborError) throw new AttestationError(code);
    throw error;
  }
}

function parsePcrs(pcrs) {
  for (const [index, value] of pcrs) {
    const isRight = Number.isInteger(index) && index >= 0 && index < PCR_COUNT && value instanceof Uint8Array;
    if (!isRight || value.length !== PCR_BYTES) throw new AttestationError("document-field", "pcrs");
  }
  for (let index = 0; index < BOOT_PCRS; index++) {
    if (!pcrs.has(index)) throw new AttestationError("document-field", `PCR${index} is missing`);
  }
  return pcrs;
}

function parseCertificates(cabundle, certificate) {
  if (cabundle.length < 1 || cabundle.length > LIMITS.MAX_CABUNDLE_CERTIFICATES) {
    throw new AttestationError("document-field", "cabundle");
  }
  const certificates = [...cabundle, certificate];
  const fits = (der) => der instanceof Uint8Array && der.length >= 1 && der.length <= LIMITS.MAX_CERTIFICATE_BYTES;
  if (!certificates.every(fits)) throw new AttestationError("document-field", "certificate");
  if (new Set(certificates.map(toHex)).size !== certificates.length) {
    throw new AttestationError("document-field", "a certificate occurs twice");
  }
  return certificates;
}

function freeField(fields, name) {
  const value = fields.get(name) ?? null;
  if (value === null) return null;
  if (value instanceof Uint8Array && value.length <= LIMITS.MAX_ATTESTATION_FIELD_BYTES) return value;
  throw new AttestationError("document-field", name);
}

// --- policies on the image (AT-11, AT-12; attestation/policy.py): they throw, or say what they checked ---

/** One acceptable image: PCR0, PCR1 and PCR2 in hexadecimal, and every further register that is named. */
export function measurements(pcrs, { name = "the expected image", expiresMs = Infinity } = {}) {
  const expected = Object.entries(pcrs ?? {}).map(([index, hex]) => [Number(index), fromHex(hex)]);
  for (const [index, value] of expected) {
    const isRegister = Number.isInteger(index) && index >= 0 && index < PCR_COUNT && value.length === PCR_BYTES;
    if (!isRegister || (IMAGE_PCRS.includes(index) && isZero(value))) {
      throw new AttestationError("policy-malformed", `PCR${index}`);
    }
  }
  if (!IMAGE_PCRS.every((index) => expected.some(([named]) => named === index))) {
    throw new AttestationError("policy-malformed", "PCR0, PCR1 and PCR2 name an image only together");
  }
  expected.sort(([a], [b]) => a - b);
  return {
    validate(document, asOfMs) {
      refuseDebug(document);
      for (const [index, value] of expected) {
        const actual = document.pcrs.get(index);
        if (!actual) throw new AttestationError("measurement-missing", `PCR${index}`);
        if (!equal(actual, value)) throw new AttestationError("measurement-mismatch", `PCR${index} of ${name}`);
      }
      if (asOfMs > expiresMs) throw new AttestationError("measurement-expired", name);
      return "image";
    },
  };
}

/** Any image that is not in debug mode. Says "genuine hardware", not "the code I expect". */
export function anyImage() {
  return { validate: (document) => (refuseDebug(document), "any-image") };
}

/** Debug mode, named explicitly: whoever runs the host can read everything. */
export function debugImage() {
  return {
    validate(document) {
      if (!isDebug(document)) throw new AttestationError("measurement-mismatch", "not in debug mode");
      return "debug-image";
    },
  };
}

/** The first of `policies` that is met; the most telling refusal when none is. */
export function anyOf(...policies) {
  return {
    validate(document, asOfMs) {
      const refusals = [];
      for (const policy of policies) {
        try {
          return policy.validate(document, asOfMs);
        } catch (error) {
          if (!(error instanceof AttestationError)) throw error;
          refusals.push(error);
        }
      }
      const telling = refusals.find(({ code }) => code !== "measurement-mismatch");
      throw telling ?? refusals[0] ?? new AttestationError("measurement-mismatch", "no image is acceptable");
    },
  };
}

function isZero(value) {
  return value.every((byte) => byte === 0);
}

function isDebug(document) {
  return IMAGE_PCRS.some((index) => isZero(document.pcrs.get(index)));
}

function refuseDebug(document) {
  if (isDebug(document)) throw new AttestationError("debug-mode");
}

// --- verification (AT-10, AT-16; attestation/verify.py) ---

const MINT = Symbol("made by verifyDocument");

/** A genuine document that met every demand. Only `verifyDocument` makes one. */
export class VerifiedDocument {
  constructor(mint, facts) {
    if (mint !== MINT) throw new TypeError("only verifyDocument makes verified documents");
    Object.assign(this, facts);
    Object.freeze(this);
  }
}

/**
 * The verified document in `data`, or an `AttestationError` with the first rule that it breaks.
 *
 * `policy` says which images are acceptable. `roots` are certificates in DER, by default Amazon's. `nowMs` is the
 * caller's clock, `asOfMs` another time in question for archived documents. `nonce`, `userData` and `maxAgeMs` are
 * demanded where given.
 */
export async function verifyDocument(data, demands) {
  const { policy, roots = [AMAZON_ROOT], nowMs = Date.now(), asOfMs = nowMs, nonce, userData, maxAgeMs } = demands;
  const document = parseAttestationDocument(data);
  const root = roots.find((der) => equal(der, document.certificates[0]));
  if (!root) throw new AttestationError("root-untrusted", "not from AWS Nitro hardware, or from a simulator");
  const path = await verifyChain(document.certificates);
  if (asOfMs < path.notBeforeMs) throw new AttestationError("certificate-not-yet-valid");
  if (asOfMs > path.notAfterMs) throw new AttestationError("certificate-expired");
  await verifySignature(document.sign1, path.key);
  const instance = utf8.encode(document.moduleId.split("-enc")[0]);
  const pcr4 = new Uint8Array(await crypto.subtle.digest("SHA-384", concat(new Uint8Array(PCR_BYTES), instance)));
  if (!equal(document.pcrs.get(4), pcr4)) throw new AttestationError("document-module");
  if (document.timestampMs > Math.min(nowMs, asOfMs) + LIMITS.MAX_FUTURE_SKEW_MS) {
    throw new AttestationError("document-future");
  }
  const aspect = policy.validate(document, asOfMs);
  if (nonce !== undefined) requireField(document.nonce, nonce, "nonce");
  if (maxAgeMs !== undefined && nowMs - document.timestampMs > maxAgeMs) throw new AttestationError("document-too-old");
  if (userData !== undefined) requireField(document.userData, userData, "user-data");
  if (isDebug(document) && aspect !== "debug-image") throw new AttestationError("debug-mode");
  if (!["image", "any-image", "debug-image"].includes(aspect)) throw new AttestationError("policy-image");
  const { moduleId, timestampMs, pcrs, publicKey, userData: bound } = document;
  const validity = { notBeforeMs: path.notBeforeMs, notAfterMs: path.notAfterMs };
  return new VerifiedDocument(MINT, { moduleId, timestampMs, pcrs, publicKey, userData: bound, root, ...validity });
}

async function verifySignature({ protected: header, payload, signature }, key) {
  const [r, s] = [signature.subarray(0, 48), signature.subarray(48)].map((half) => BigInt(`0x${toHex(half)}`));
  if (!(r > 0n && r < P384_ORDER && s > 0n && s < P384_ORDER)) throw new AttestationError("cose-signature-form");
  const covered = cborEncode(["Signature1", header, EMPTY, payload]);
  const holds = await crypto.subtle.verify(ECDSA_SHA384, key, signature, covered);
  if (!holds) throw new AttestationError("cose-signature");
}

function requireField(actual, expected, name) {
  if (actual === null && name === "nonce") throw new AttestationError("nonce-missing");
  if (actual === null || !equal(actual, expected)) throw new AttestationError(`${name}-mismatch`);
}

/** aws.nitro-enclaves G1, commercial partition, valid 2019-10-28 to 2049-10-28. */
export const AMAZON_ROOT = fromBase64(
  "MIICETCCAZagAwIBAgIRAPkxdWgbkK/hHUbMtOTn+FYwCgYIKoZIzj0EAwMwSTELMAkGA1UEBhMCVVMxDzANBgNVBAoMBkFtYXpvbjEMMAoGA1UE" +
    "CwwDQVdTMRswGQYDVQQDDBJhd3Mubml0cm8tZW5jbGF2ZXMwHhcNMTkxMDI4MTMyODA1WhcNNDkxMDI4MTQyODA1WjBJMQswCQYDVQQGEwJVUzEP" +
    "MA0GA1UECgwGQW1hem9uMQwwCgYDVQQLDANBV1MxGzAZBgNVBAMMEmF3cy5uaXRyby1lbmNsYXZlczB2MBAGByqGSM49AgEGBSuBBAAiA2IABPwC" +
    "VOumCMHzaHDimtqQvkY4MpJzbolL//Zy2YlES1BR5TSksfbb48C8WBoyt7F2Bw7eEtaaP+ohG2bnUs990d0JX28TcPQXCEPZ3BABIeTPYwEoCWZE" +
    "h8l5YoQwTcU/9KNCMEAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkCW1DdkFR+eWw5b6cp3PmanfS5YwDgYDVR0PAQH/BAQDAgGGMAoGCCqG" +
    "SM49BAMDA2kAMGYCMQCjfy+Rocm9Xue4YnwWmNJVA44fA0P5W2OpYow9OYCVRaEevL8uO1XYru5xtMPWrfMCMQCi85sWBbJwKKXdS6BptQFuZbT7" +
    "3o/gBh1qUxl/nNr12UO8Yfwr6wPLb+6NIwLz3/Y=",
);

/** What a document's user data must be to cover one exchange: path without query, bodies as on the wire. */
export async function contentUserData(method, path, requestBody, responseBody) {
  const line = utf8.encode(`${method} ${path}\n`);
  const digest = await sha256(concat(line, requestBody, utf8.encode("\n"), responseBody));
  return utf8.encode(`Sequence/1:${toBase64(digest)}`);
}

/** The deployment's keys that user data binds (attestation/binding.py). */
export function parseBinding(userData) {
  const refusal = new AttestationError("binding-malformed");
  let parts;
  try {
    parts = CborReader.decode(userData ?? EMPTY, { maxDepth: 1 });
  } catch {
    throw refusal;
  }
  const [context, deployment, ...keys] = Array.isArray(parts) ? parts : [];
  const sizes = keys.map((key) => (key instanceof Uint8Array ? key.length : -1));
  const isDeployment = typeof deployment === "string" && /^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$/.test(deployment);
  if (context !== BINDING_CONTEXT || !isDeployment || `${sizes}` !== "33,32,32,16") throw refusal;
  const [identityKey, channelKey, configHash, bootEpoch] = keys;
  if (identityKey[0] !== 2 && identityKey[0] !== 3) throw refusal;
  return { deployment, identityKey, channelKey, configHash, bootEpoch };
}

// --- what both kinds of fetch share ---

const ATTESTATIONS = new WeakMap();

/** The verified document that vouches for a response of one of these fetch functions. */
export function attestationOf(response) {
  return ATTESTATIONS.get(response);
}

/** Options common to both: `expectedPcrs` (an image or a list of them) or `policy`; `roots`; `maxAgeMs`; `fetch`. */
function readOptions(options, further) {
  const known = ["expectedPcrs", "policy", "roots", "maxAgeMs", "fetch", ...further];
  const unknown = Object.keys(options ?? {}).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`unknown option ${unknown}`); // a typo must not drop a demand
  const { expectedPcrs, policy, roots = [AMAZON_ROOT], maxAgeMs = DEFAULT_MAX_AGE_MS } = options ?? {};
  if ((expectedPcrs === undefined) === (policy === undefined)) {
    throw new TypeError("say which images are acceptable: either expectedPcrs or policy");
  }
  if (!Number.isFinite(maxAgeMs) || !roots.every((der) => der instanceof Uint8Array)) {
    throw new TypeError("maxAgeMs is a number of milliseconds, roots are certificates as bytes");
  }
  const images = Array.isArray(expectedPcrs) ? expectedPcrs : [expectedPcrs];
  const image = policy ?? anyOf(...images.map((pcrs) => measurements(pcrs)));
  const send = options.fetch ?? ((...request) => globalThis.fetch(...request));
  return { send, demands: { policy: image, roots: [...roots], maxAgeMs } };
}

/** The caller's request, taken apart: the body's exact bytes are what is covered or sealed. */
async function readRequest(input, init) {
  const request = new Request(input, init);
  const body = new Uint8Array(await request.arrayBuffer());
  const { method, signal, credentials } = request;
  return { url: new URL(request.url), method, headers: new Headers(request.headers), body, signal, credentials };
}

/** Sends a request so that no redirect, cache or opaque answer gets between, and reads the answer up to the limit. */
async function exchange(send, url, { method, headers, body, signal, credentials }) {
  const fixed = { redirect: "error", cache: "no-store", mode: "cors" };
  const given = { method, headers, signal, credentials, body: body.length ? body : undefined };
  const response = await send(url, { ...given, ...fixed });
  const chunks = [];
  let size = 0;
  for (const reader = response.body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > LIMITS.MAX_FRAME_BYTES) {
      await reader.cancel();
      throw new AttestationError("channel-too-large", "the answer is longer than any that an enclave gives");
    }
    chunks.push(value);
  }
  return { status: response.status, headers: response.headers, body: concat(...chunks) };
}

function makeResponse(url, { status, headers, body }, document) {
  const hasNoBody = [204, 205, 304].includes(status);
  const response = new Response(hasNoBody ? null : body, { status, headers });
  Object.defineProperty(response, "url", { value: url });
  ATTESTATIONS.set(response, document);
  return response;
}

// --- attested fetch ---

/**
 * A `fetch` whose every answer is covered by an attestation document made for it (CH-09, AT-10, AT-14).
 *
 * The document covers method, path, request body and answer body. A query is not covered, so it is refused. Status and
 * headers are not covered either: the status of an error body is taken from that body; rely on nothing else of them.
 */
export function createAttestedFetch(options) {
  const { send, demands } = readOptions(options, []);
  return async function attestedFetch(input, init) {
    const request = await readRequest(input, init);
    const { url, method, headers, body } = request;
    if (url.search) throw new AttestationError("content-unbound", "no attestation covers the query of a URL");
    const nonce = toBase64(random(18));
    headers.set("X-Attestation-Nonce", nonce);
    const answer = await exchange(send, url.href, request);
    const text = answer.headers.get("X-Attestation-Document");
    if (text === null) throw new AttestationError("unattested", `status ${answer.status} without a document`);
    const document = fromBase64(text);
    if (document === null) throw new AttestationError("unattested", "the document is not base64");
    const userData = await contentUserData(method, url.pathname, body, answer.body);
    const verified = await verifyDocument(document, { ...demands, nonce: utf8.encode(nonce), userData });
    return makeResponse(url.href, { ...answer, status: statedStatus(answer) }, verified);
  };
}

/** The status that an error body states, which is covered, unlike the one that came with it. */
function statedStatus({ status, body }) {
  if (!startsWith(body, utf8.encode('{"error":"'))) return status;
  const stated = JSON.parse(strictText.decode(body)).status;
  return Number.isInteger(stated) && stated >= 400 && stated <= 599 ? stated : status;
}

// --- sealed fetch (attestation/channel.py, attestation/client.py) ---

/**
 * A `fetch` that verifies the enclave at `url` first and seals every request to its attested channel key.
 *
 * Method, path, body and the headers content-type, x-attestation-nonce and authorization go in sealed; status, headers
 * and body come back sealed. `deployment`, `identityKey` and `configHash` (bytes) may be demanded of what the document binds.
 */
export function createSealedFetch(options) {
  const { send, demands } = readOptions(options, ["url", "pinMs", "deployment", "identityKey", "configHash"]);
  const { deployment, identityKey, configHash, pinMs = DEFAULT_PIN_MS } = options;
  const expected = { deployment, identityKey, configHash };
  const service = { origin: new URL(options.url).origin, send, demands, expected };
  let pinned = null;
  let attesting = null;

  function attest(request) {
    attesting ??= attestChannel(service, request, pinMs)
      .then((pin) => (pinned = pin))
      .finally(() => (attesting = null));
    return attesting;
  }

  return async function sealedFetch(input, init) {
    const request = await readRequest(input, init);
    const { url, method } = request;
    if (url.origin !== service.origin) throw new AttestationError("channel-elsewhere", url.origin);
    let pin = pinned && Date.now() <= pinned.untilMs ? pinned : await attest(request);
    const names = ["content-type", "x-attestation-nonce", "authorization"].filter((name) => request.headers.has(name));
    const headers = Object.fromEntries(names.map((name) => [name, request.headers.get(name)]));
    const inner = [`${method} ${url.pathname}${url.search}`, headers, request.body];
    // One id for both attempts: should the first have arrived after all, the enclave refuses the second.
    const requestId = random(16);
    let { answer, open } = await ask(service, request, pin, inner, requestId);
    if (!isSealed(answer) && unsealedError(answer).code === CHANNEL_KEY_UNKNOWN) {
      pin = await attest(request);
      ({ answer, open } = await ask(service, request, pin, inner, requestId));
    }
    if (!isSealed(answer)) {
      const { error } = unsealedError(answer);
      const claim = typeof error === "string" && /^[A-Za-z0-9]{1,48}$/.test(error) ? `, ${error}` : "";
      throw new AttestationError("channel-unsealed", `status ${answer.status}${claim}`);
    }
    return makeResponse(url.href, await open(answer.body), pin.document);
  };
}

function isSealed(answer) {
  return answer.status === 200 && answer.headers.get("content-type") === CBOR_TYPE;
}

/** The error body of an unsealed answer. Whoever wrote it: it leads to a refusal or to one more try. */
function unsealedError(answer) {
  try {
    return JSON.parse(strictText.decode(answer.body)) ?? {};
  } catch {
    return {};
  }
}

async function attestChannel({ origin, send, demands, expected }, { signal, credentials }, pinMs) {
  const nonce = random(32);
  const askedMs = Date.now();
  const body = utf8.encode(JSON.stringify({ nonce: toBase64Url(nonce) }));
  const headers = { "content-type": "application/json" };
  const answer = await exchange(send, origin + DOCUMENT_PATH, { method: "POST", headers, body, signal, credentials });
  const text = answer.status === 200 ? unsealedError(answer).document : undefined;
  const data = typeof text === "string" ? fromBase64Url(text) : null;
  if (data === null) throw new AttestationError("input-unreachable", `status ${answer.status}`);
  const document = await verifyDocument(data, { ...demands, nonce });
  const binding = parseBinding(document.userData);
  for (const [part, value] of Object.entries(expected)) {
    const isMet = typeof value === "string" ? value === binding[part] : value && equal(value, binding[part]);
    if (value !== undefined && !isMet) throw new AttestationError("binding-mismatch", part);
  }
  return { document, channelKey: binding.channelKey, untilMs: Math.min(askedMs + pinMs, document.notAfterMs) };
}

async function ask({ origin, send }, { signal, credentials }, pin, inner, requestId) {
  const { envelope, open } = await sealRequest(pin.channelKey, inner, requestId);
  const headers = { "content-type": CBOR_TYPE };
  const request = { method: "POST", headers, body: envelope, signal, credentials };
  return { answer: await exchange(send, origin + SEALED_PATH, request), open };
}

/** The envelope of `[method, headers, body]`, and what opens its answer. `requestId` is 16 random bytes. */
export async function sealRequest(channelKey, inner, requestId) {
  const secret = random(32);
  const keyId = (await sha256(channelKey)).subarray(0, 16);
  const info = cborEncode([REQUEST_CONTEXT, `POST ${SEALED_PATH}`, keyId, requestId]);
  const { enc, ciphertext } = await hpkeSeal(channelKey, info, pad(cborEncode([...inner, secret])));
  const envelope = cborEncode([1, keyId, requestId, enc, ciphertext]);
  return { envelope, open: (data) => openResponse(data, secret, enc, envelope) };
}

async function openResponse(data, secret, enc, envelope) {
  const parts = decodeOr("channel-malformed", data, { maxDepth: 1 });
  const [version, nonce, ciphertext] = Array.isArray(parts) ? parts : [];
  const isRight = nonce instanceof Uint8Array && nonce.length === 32 && ciphertext instanceof Uint8Array;
  if (version !== 1 || parts.length !== 3 || !isRight) throw new AttestationError("channel-malformed");
  const info = cborEncode([REPLY_CONTEXT, await sha256(envelope)]);
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: concat(enc, nonce), info };
  const source = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const derived = new Uint8Array(await crypto.subtle.deriveBits(hkdf, source, 8 * 44));
  const key = await crypto.subtle.importKey("raw", derived.subarray(0, 32), "AES-GCM", false, ["decrypt"]);
  let padded;
  try {
    padded = await crypto.subtle.decrypt({ name: "AES-GCM", iv: derived.subarray(32) }, key, ciphertext);
  } catch {
    throw new AttestationError("channel-unopened");
  }
  return parseResponse(unpad(new Uint8Array(padded)));
}

function parseResponse(content) {
  const parts = decodeOr("channel-malformed", content, { maxDepth: 2, sorted: true });
  const [status, headers, body] = Array.isArray(parts) ? parts : [];
  const isRight = Number.isInteger(status) && status >= 200 && status <= 599 && headers instanceof Map;
  const areTexts = isRight && [...headers].flat().every((text) => typeof text === "string");
  if (!areTexts || parts.length !== 3 || !(body instanceof Uint8Array)) throw new AttestationError("channel-malformed");
  return { status, headers: Object.fromEntries(headers), body };
}

/** Length, content, zeros: up to the smallest bucket that holds them (CH-07). */
function pad(content) {
  const bucket = BUCKETS.find((size) => size >= content.length + 4);
  if (!(bucket <= LIMITS.MAX_SEALED_REQUEST_BYTES)) throw new AttestationError("channel-too-large");
  const padded = new Uint8Array(bucket);
  new DataView(padded.buffer).setUint32(0, content.length);
  padded.set(content, 4);
  return padded;
}

function unpad(padded) {
  const length = padded.length < 4 ? Infinity : new DataView(padded.buffer).getUint32(0);
  const bucket = BUCKETS.find((size) => size >= length + 4);
  if (padded.length !== bucket || !isZero(padded.subarray(4 + length))) throw new AttestationError("channel-malformed");
  return padded.subarray(4, 4 + length);
}

// --- HPKE, base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM (RFC 9180 sections 4 to 6) ---

const KEM_SUITE = concat(utf8.encode("KEM"), fromHex("0020"));
const HPKE_SUITE = concat(utf8.encode("HPKE"), fromHex("002000010002"));

async function hpkeSeal(publicKey, info, plaintext) {
  const { enc, sharedSecret } = await encapsulate(publicKey);
  const pskIdHash = await labeledExtract(HPKE_SUITE, EMPTY, "psk_id_hash", EMPTY);
  const infoHash = await labeledExtract(HPKE_SUITE, EMPTY, "info_hash", info);
  const context = concat(Uint8Array.of(0), pskIdHash, infoHash);
  const secret = await labeledExtract(HPKE_SUITE, sharedSecret, "secret", EMPTY);
  const keyBytes = await labeledExpand(HPKE_SUITE, secret, "key", context, 32);
  const iv = await labeledExpand(HPKE_SUITE, secret, "base_nonce", context, 12);
  const key = await crypto.subtle.importKey("raw", keyBytes, "AES-GCM", false, ["encrypt"]);
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plaintext));
  return { enc, ciphertext };
}

async function encapsulate(publicKey) {
  const x25519 = { name: "X25519" };
  const ephemeral = await crypto.subtle.generateKey(x25519, false, ["deriveBits"]);
  const enc = new Uint8Array(await crypto.subtle.exportKey("raw", ephemeral.publicKey));
  let agreed;
  try {
    const recipient = await crypto.subtle.importKey("raw", publicKey, x25519, false, []);
    const agreement = { ...x25519, public: recipient };
    agreed = new Uint8Array(await crypto.subtle.deriveBits(agreement, ephemeral.privateKey, 256));
  } catch {
    throw new AttestationError("channel-key");
  }
  if (isZero(agreed)) throw new AttestationError("channel-key", "a point of low order"); // CH-04
  const prk = await labeledExtract(KEM_SUITE, EMPTY, "eae_prk", agreed);
  return { enc, sharedSecret: await labeledExpand(KEM_SUITE, prk, "shared_secret", concat(enc, publicKey), 32) };
}

async function hmac(keyBytes, ...parts) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", keyBytes, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, concat(...parts)));
}

function labeledExtract(suite, salt, label, material) {
  const key = salt.length ? salt : new Uint8Array(32); // no salt means zeros (RFC 5869 section 2.2)
  return hmac(key, utf8.encode("HPKE-v1"), suite, utf8.encode(label), material);
}

/** One block of HKDF is enough: `length` is at most 32. */
async function labeledExpand(suite, prk, label, info, length) {
  const labeled = [Uint8Array.of(0, length), utf8.encode("HPKE-v1"), suite, utf8.encode(label), info];
  return (await hmac(prk, ...labeled, Uint8Array.of(1))).subarray(0, length);
}
