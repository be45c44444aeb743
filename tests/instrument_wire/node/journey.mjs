// Logs in by mail and by ID token, signs and fails as a wallet does. Facts come as JSON in the first argument.

import './browser.mjs'
import assert from 'node:assert/strict'
import { createAttestationVerifyingFetch, SignedAttestation } from '@0xsequence/tee-verifier'
import { Bytes, Hash, Secp256k1, Signature } from 'ox'
import { ask, tell } from './asking.mjs'
import { deviceKey, library } from './instrument.mjs'

const facts = JSON.parse(process.argv[2])

const attested = []
const fetchAndKeep = async (input, init) => {
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString('base64')
  const response = await fetch(input, { ...init, headers: { ...init.headers, 'x-attestation-nonce': nonce } })
  attested.push({ nonce, request: init.body, response, answer: await response.clone().text() })
  return response
}

const { IdentityInstrument, OtpChallenge, IdTokenChallenge } = await library(facts.library)
const instrument = new IdentityInstrument(facts.url, facts.scope, fetchAndKeep)
const outcome = { signers: [], codes: [] }

const refusal = async (call) => {
  const error = await call.then(() => assert.fail('was not refused'), (error) => error)
  outcome.codes.push(error.code)
  return error
}

const signs = async (authKey, signer) => {
  authKey.signer = signer.address
  const digest = Hash.keccak256(Bytes.fromString('message'), { as: 'Bytes' })
  const signature = Signature.fromHex(await instrument.sign(authKey, digest))
  assert.equal(Secp256k1.recoverAddress({ payload: digest, signature }).toLowerCase(), signer.address)
  outcome.signers.push(signer.address)
}

// By mail, as typed with capitals: two wrong codes, then the right one.
const first = await deviceKey()
const typed = OtpChallenge.fromRecipient('Email', facts.email)
const started = await instrument.commitVerifier(first, typed)
assert.equal(started.loginHint, facts.email.toLowerCase())
await refusal(instrument.completeAuth(first, typed.withAnswer(started.challenge, 'wrong')))
const code = await ask('code')
const done = await instrument.completeAuth(first, typed.withAnswer(started.challenge, code))
assert.equal(done.identity.email, facts.email.toLowerCase())
await signs(first, done.signer)

// Again by the signer's address alone, with a key of its own; three wrong codes end it.
const second = await deviceKey()
const signer = { keyType: done.signer.keyType, address: facts.checksummed ?? done.signer.address }
const again = OtpChallenge.fromSigner('Email', signer)
const restarted = await instrument.commitVerifier(second, again)
const secondCode = await ask('code')
const returned = await instrument.completeAuth(second, again.withAnswer(restarted.challenge, secondCode))
assert.equal(returned.signer.address, done.signer.address)
await signs(second, returned.signer)
const third = await instrument.commitVerifier(second, typed)
for (const _ of [1, 2, 3]) await refusal(instrument.completeAuth(second, typed.withAnswer(third.challenge, 'wrong')))

// By ID token, which counts once; a key that never logged in signs nothing.
const token = await ask('token')
const byToken = new IdTokenChallenge(facts.issuer, facts.audience, token)
const phone = await deviceKey()
await instrument.commitVerifier(phone, byToken)
const known = await instrument.completeAuth(phone, byToken)
await signs(phone, known.signer)
await refusal(instrument.commitVerifier(await deviceKey(), byToken))
await refusal(instrument.sign({ ...(await deviceKey()), signer: known.signer.address }, new Uint8Array(32)))

// Every answer, the refusals too, carried a document that the published verifier takes but for its root.
for (const { nonce, request, response, answer } of attested) {
  const document = SignedAttestation.fromDocument(response.headers.get('x-attestation-document'))
  assert.equal(document.nonce, nonce)
  assert.equal(document.pcrs.get(0), facts.pcr0)
  assert.ok(await document.verifyRootOfTrust())
  assert.ok(await document.verifySignature())
  const covered = Bytes.fromString(`POST ${new URL(response.url).pathname}\n${request}\n${answer}`)
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', covered))
  assert.equal(document.userData, `Sequence/1:${Buffer.from(hash).toString('base64')}`)
}
outcome.attested = attested.length

// The published verifier in front of the published call: our root is not Amazon's, and it says so and nothing else.
const verifying = createAttestationVerifyingFetch({ expectedPCRs: new Map([[0, facts.pcr0]]) })
const strict = new IdentityInstrument(facts.url, facts.scope, verifying)
const error = await strict.commitVerifier(first, typed).then(() => assert.fail('a foreign root passed'), (error) => error)
assert.match(`${error.message} ${error.cause ?? ''}`, /Invalid root certificate fingerprint: [0-9a-f]{64}/)

tell(outcome)
