// Logs in by authorization code as a wallet does: with PKCE for the first time and again by signer, and without PKCE,
// as applications of Apple's provider do. Facts come as JSON in the first argument.

import './browser.mjs'
import assert from 'node:assert/strict'
import { Bytes, Hash, Secp256k1, Signature } from 'ox'
import { ask, tell } from './asking.mjs'
import { deviceKey, library } from './instrument.mjs'

const facts = JSON.parse(process.argv[2])
const { IdentityInstrument, AuthCodeChallenge, AuthCodePkceChallenge } = await library(facts.library)
const instrument = new IdentityInstrument(facts.url, facts.scope, fetch)
const outcome = { signers: [], hints: [] }

const signs = async (authKey, signer) => {
  authKey.signer = signer.address
  const digest = Hash.keccak256(Bytes.fromString('message'), { as: 'Bytes' })
  const signature = Signature.fromHex(await instrument.sign(authKey, digest))
  assert.equal(Secp256k1.recoverAddress({ payload: digest, signature }).toLowerCase(), signer.address)
  outcome.signers.push(signer.address)
}

const byPkce = async (authKey, challenge) => {
  const started = await instrument.commitVerifier(authKey, challenge)
  outcome.hints.push(started.loginHint)
  const code = await ask('authorization', { client: facts.web, challenge: started.challenge })
  const done = await instrument.completeAuth(authKey, challenge.withAnswer(started.verifier, code))
  await signs(authKey, done.signer)
  return done.signer
}

const byCode = async (authKey, signer) => {
  const code = await ask('authorization', { client: facts.team })
  const plain = new AuthCodeChallenge(facts.issuer, facts.team, facts.redirect, code)
  const challenge = signer ? plain.withSigner(signer) : plain
  await instrument.commitVerifier(authKey, challenge)
  const done = await instrument.completeAuth(authKey, challenge)
  await signs(authKey, done.signer)
  return done.signer
}

const first = await deviceKey()
const pkce = new AuthCodePkceChallenge(facts.issuer, facts.web, facts.redirect)
const google = await byPkce(first, pkce)
await byPkce(first, pkce.withSigner(google))
await byPkce(await deviceKey(), pkce.withSigner(google))

const apple = await byCode(await deviceKey())
await byCode(await deviceKey(), apple)

tell(outcome)
