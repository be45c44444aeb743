// The published client where it is installed (`@0xsequence/identity-instrument`), and otherwise the same calls written
// from the description of its behaviour, over the very libraries that it stands on.

import { canonicalize } from 'json-canonicalize'
import { jwtDecode } from 'jwt-decode'
import { Bytes, Hash, Hex } from 'ox'

const PUBLISHED = '@0xsequence/identity-instrument'

export async function published() {
  return import(PUBLISHED).catch(() => undefined)
}

export class CallFailed extends Error {
  constructor(body) {
    super(body.message || body.msg)
    this.code = body.code
    this.cause = body.cause
    this.status = body.status
  }
}

class Instrument {
  constructor(hostname, scope, fetch) {
    this.hostname = hostname
    this.scope = scope
    this.fetch = fetch
  }

  async #call(name, authKey, members) {
    const params = { ...members, scope: this.scope }
    const signature = await authKey.sign(Bytes.fromString(canonicalize(params)))
    const response = await this.fetch(`${this.hostname}/rpc/IdentityInstrument/${name}`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Webrpc: 'webrpc@v0.23.1;gen-typescript@v0.16.3;identity-instrument@v0.1.0',
      },
      body: JSON.stringify({ params, authKey: { address: authKey.address, keyType: authKey.keyType }, signature }),
    })
    const body = JSON.parse(await response.text())
    if (!response.ok) throw new CallFailed(body)
    return body
  }

  commitVerifier(authKey, challenge) {
    return this.#call('CommitVerifier', authKey, challenge.getCommitParams())
  }

  completeAuth(authKey, challenge) {
    return this.#call('CompleteAuth', authKey, { ...challenge.getCompleteParams(), signerType: 'Ethereum_Secp256k1' })
  }

  async sign(authKey, digest) {
    const signer = { address: authKey.signer, keyType: 'Ethereum_Secp256k1' }
    const nonce = Hex.fromNumber(Date.now())
    return (await this.#call('Sign', authKey, { signer, digest: Hex.fromBytes(digest), nonce })).signature
  }
}

class Challenge {
  constructor(commit, complete) {
    this.getCommitParams = () => commit
    this.getCompleteParams = () => complete
  }
}

const described = {
  IdentityInstrument: Instrument,

  IdTokenChallenge: class extends Challenge {
    constructor(iss, aud, token) {
      const mode = { authMode: 'IDToken', identityType: 'OIDC' }
      const handle = Hash.keccak256(Bytes.fromString(token), { as: 'Hex' })
      const exp = jwtDecode(token).exp?.toString() ?? ''
      super({ ...mode, handle, metadata: { iss, aud, exp } }, { ...mode, verifier: handle, answer: token })
    }
  },

  OtpChallenge: class OtpChallenge extends Challenge {
    constructor(identityType, recipient, signer, answer) {
      const mode = { authMode: 'OTP', identityType }
      const verifier = recipient ?? `${signer.keyType}:${signer.address}`
      super({ ...mode, handle: recipient, signer, metadata: {} }, { ...mode, verifier, answer })
      Object.assign(this, { identityType, recipient, signer })
    }

    static fromRecipient = (identityType, recipient) => new OtpChallenge(identityType, recipient)
    static fromSigner = (identityType, signer) => new OtpChallenge(identityType, undefined, signer)

    withAnswer(codeChallenge, code) {
      const answer = Hash.keccak256(Bytes.fromString(codeChallenge + code), { as: 'Hex' })
      return new OtpChallenge(this.identityType, this.recipient, this.signer, answer)
    }
  },

  AuthCodePkceChallenge: class AuthCodePkceChallenge extends Challenge {
    constructor(iss, aud, redirect_uri, signer, verifier, answer) {
      const mode = { authMode: 'AuthCodePKCE', identityType: 'OIDC' }
      super({ ...mode, signer, metadata: { iss, aud, redirect_uri } }, { ...mode, verifier, answer })
      Object.assign(this, { of: [iss, aud, redirect_uri], signer, verifier })
    }

    withSigner = (signer) => new AuthCodePkceChallenge(...this.of, signer, this.verifier)
    withAnswer = (verifier, code) => new AuthCodePkceChallenge(...this.of, this.signer, verifier, code)
  },

  AuthCodeChallenge: class AuthCodeChallenge extends Challenge {
    constructor(iss, aud, redirect_uri, code, signer) {
      const mode = { authMode: 'AuthCode', identityType: 'OIDC' }
      const handle = Hash.keccak256(Bytes.fromString(code), { as: 'Hex' })
      const metadata = { iss, aud, redirect_uri }
      super({ ...mode, signer, handle, metadata }, { ...mode, verifier: handle, answer: code })
      Object.assign(this, { of: [iss, aud, redirect_uri, code] })
    }

    withSigner = (signer) => new AuthCodeChallenge(...this.of, signer)
  },
}

export const library = async (which) => (which === 'published' ? await published() : described)

// A device key as the browser wallet holds it: P-256, not extractable, raw r || s over SHA-256.
export async function deviceKey() {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
  return {
    keyType: 'WebCrypto_Secp256r1',
    address: Hex.fromBytes(point),
    sign: async (bytes) => {
      const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes)
      return Hex.fromBytes(new Uint8Array(signature))
    },
  }
}
