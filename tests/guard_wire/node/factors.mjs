// The unmodified client enrols a second factor for a wallet of its own, is asked for it, shows it, and is refused.
import { createHmac } from 'node:crypto'
import * as Guard from '@0xsequence/guard'
import { Envelope, Signers, State, Wallet } from '@0xsequence/wallet-core'
import { Config, Context } from '@0xsequence/wallet-primitives'
import { Hex, Secp256k1, Signature, TypedData } from 'ox'

const facts = JSON.parse(process.argv[2])
console.error = () => {}

const service = new Guard.Sequence.Guard(facts.url, facts.guard, fetch)
const client = new Guard.Client.Guard(facts.url, fetch)
const owner = new Signers.Pk.Pk(facts.key)
const guard = new Signers.Guard(service)
const bearer = { Authorization: `BEARER ${facts.token}` }
const configuration = {
  threshold: 2n,
  checkpoint: 0n,
  topology: [
    { type: 'signer', address: owner.address, weight: 1n },
    { type: 'signer', address: facts.guard, weight: 1n },
  ],
}

async function outcome(asking) {
  try {
    return { result: await asking }
  } catch (error) {
    return { name: error.name, id: error.id, code: error.cause?.code ?? error.code, cause: error.cause?.cause ?? error.cause }
  }
}

async function cosign(envelope, token) {
  const signed = Envelope.toSigned(envelope, [
    { address: owner.address, signature: await owner.sign(envelope.wallet, envelope.chainId, envelope.payload) },
  ])
  Envelope.addSignature(signed, await guard.signEnvelope(signed, token))
  return signed
}

const utc = (time) => new Date(time).toUTCString().replace('GMT', 'UTC')
const typed = (primaryType, fields, message) => ({
  domain: { name: 'Sequence Guard', version: '1', chainId: 1 },
  types: { [primaryType]: fields },
  primaryType,
  message,
})

// Each update has a second of its own: the text that is signed has no milliseconds.
let last = 0
async function fresh() {
  while (Math.floor(Date.now() / 1000) <= last) await new Promise((done) => setTimeout(done, 50))
  last = Math.floor(Date.now() / 1000)
  return Date.now()
}

async function updateProof(token) {
  const timestamp = await fresh()
  const document = typed('AuthUpdate', [{ name: 'timestamp', type: 'string' }], { timestamp: utc(timestamp) })
  const envelope = await wallet.prepareMessageSignature(document, 1)
  const signature = Hex.fromBytes(await wallet.buildMessageSignature(await cosign(envelope, token)))
  return { timestamp, signature, chainId: 1 }
}

async function ownershipProof() {
  const timestamp = await fresh()
  const fields = [{ name: 'wallet', type: 'address' }, { name: 'timestamp', type: 'string' }]
  const document = typed('AuthMethods', fields, { wallet: wallet.address, timestamp: utc(timestamp) })
  const signature = Signature.toHex(Secp256k1.sign({ payload: TypedData.getSignPayload(document), privateKey: facts.key }))
  return { wallet: wallet.address, timestamp, signer: owner.address, signature, chainId: 1 }
}

function authenticator(uri, steps) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...new URL(uri).searchParams.get('secret')].map((c) => letters.indexOf(c).toString(2).padStart(5, '0')).join('')
  const seed = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps))
  const mac = createHmac('sha1', seed).update(counter).digest()
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0')
}

const payment = (nonce) => ({
  wallet: wallet.address,
  chainId: facts.chainId,
  configuration,
  payload: {
    type: 'call',
    space: 0n,
    nonce,
    calls: [{ to: facts.token20, data: facts.payment, value: 0n, gasLimit: 0n, delegateCall: false, onlyFallback: false, behaviorOnError: 'revert' }],
  },
})
const paid = async (nonce, token) => (await cosign(payment(nonce), token)).signatures.length

const wallet = await Wallet.fromConfiguration(configuration, { context: Context.Rc5, stateProvider: new State.Local.Provider() })
const registered = await fetch(`${facts.url}/rpc/GuardWallets/Register`, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ configuration: JSON.parse(Config.configToJson(configuration)) }),
})

const found = { registered: registered.status, wallet: wallet.address }
found.before = await client.authMethods({ proof: await ownershipProof() })
found.unasked = await outcome(paid(1n))
const { uri } = await client.createTOTP(await updateProof(), bearer)
found.codes = (await client.commitTOTP({ token: authenticator(uri, -1) }, bearer)).codes
found.enrolled = await client.authMethods({}, bearer)
found.asked = await outcome(paid(2n))
found.wrong = await outcome(paid(2n, { id: 'TOTP', code: '000000' }))
const code = authenticator(uri, 0)
found.shown = await outcome(paid(2n, { id: 'TOTP', code }))
found.replayed = await outcome(paid(3n, { id: 'TOTP', code }))
found.recovered = await outcome(paid(3n, { id: 'recovery', code: found.codes[0].code }))
found.stranger = await outcome(client.authMethods({}, {}))
found.resetUnasked = await outcome(updateProof())
found.reset = await outcome(client.resetTOTP(await updateProof({ id: 'TOTP', code: authenticator(uri, 1) }), bearer))
found.after = await client.authMethods({}, bearer)
found.unaskedAgain = await outcome(paid(4n))
console.log(JSON.stringify(found))
