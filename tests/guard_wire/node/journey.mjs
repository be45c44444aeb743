// The unmodified client asks the guard for signatures over every kind of payload that it knows, and says what came of it.
import * as Guard from '@0xsequence/guard'
import { Signers } from '@0xsequence/wallet-core'
import { Attestation, Payload } from '@0xsequence/wallet-primitives'
import { Bytes, Hash, Hex, Secp256k1, Signature } from 'ox'

const facts = JSON.parse(process.argv[2])
console.error = () => {}

const service = new Guard.Sequence.Guard(facts.url, facts.guard, fetch)
const signer = new Signers.Guard(service)
const { wallet, chainId } = facts

function digestOf(payload) {
  return Payload.isSessionImplicitAuthorize(payload)
    ? Hash.keccak256(Attestation.encode(payload.attestation))
    : Bytes.fromHex(Hex.fromBytes(Payload.hash(wallet, chainId, payload)))
}

function envelope(payload, key = facts.key) {
  const signature = Secp256k1.sign({ payload: digestOf(payload), privateKey: key })
  const address = facts.owner
  return { wallet, chainId, payload, configuration: undefined, signatures: [{ address, signature: { type: 'hash', ...signature } }] }
}

async function ask(payload, token, key) {
  try {
    const signed = await signer.signEnvelope(envelope(payload, key), token)
    const recovered = Secp256k1.recoverAddress({ payload: digestOf(payload), signature: signed.signature })
    return { address: signed.address, recovered, type: signed.signature.type }
  } catch (error) {
    return { name: error.constructor.name, method: error.id, message: error.message, code: error.cause?.code, cause: error.cause?.cause }
  }
}

const call = (to, data, value = 0n) => ({
  to, data, value, gasLimit: 0n, delegateCall: false, onlyFallback: false, behaviorOnError: 'revert',
})
const calls = (...found) => ({ type: 'call', space: 3n, nonce: 7n, calls: found })
const attestation = {
  approvedSigner: facts.sessionKey,
  identityType: Bytes.fromHex('0x00000001'),
  issuerHash: Hash.keccak256(Bytes.fromString('issuer')),
  audienceHash: Hash.keccak256(Bytes.fromString('aud')),
  applicationData: Bytes.fromString('app'),
  authData: { redirectUrl: 'https://app.example', issuedAt: 1n },
}

const outcome = {
  allowed: await ask(calls(call(facts.token, facts.payment))),
  message: await ask({ type: 'message', message: facts.message }),
  parented: await ask({ ...calls(call(facts.token, facts.payment)), parentWallets: [facts.stranger] }),
  refused: await ask(calls(call(facts.stranger, '0x', 1n))),
  larger: await ask(calls(call(facts.token, facts.largePayment)), { id: 'TOTP', code: '123456' }),
  update: await ask({ type: 'config-update', imageHash: '0x' + '98'.repeat(32) }),
  session: await ask({ type: 'session-implicit-authorize', sessionAddress: facts.sessionKey, attestation }),
  forged: await ask(calls(call(facts.token, facts.payment)), undefined, facts.otherKey),
  digest: await ask({ type: 'digest', digest: '0x' + '11'.repeat(32) }),
}
console.log(JSON.stringify(outcome))
