// The published client's life against the service. What a person would do is asked for on standard output, one line
// each, and answered on standard input; the last line says what came of it.
// Usage: node life.mjs '{"url", "accessKey", "curve", "token"}'

import { createInterface } from 'node:readline'
import { SequenceWaaS } from '@0xsequence/waas'

const facts = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const ask = async what => {
  console.log(JSON.stringify({ ask: what }))
  return JSON.parse((await lines.next()).value)
}

function storage() {
  const values = new Map()
  const key = parts => parts.join('/')
  return {
    get: async (...parts) => values.get(key(parts)) ?? null,
    set: async (...parts) => (values.set(key(parts.slice(0, -1)), parts.at(-1)), true),
    delete: async (...parts) => values.delete(key(parts))
  }
}

const bytes = async promise => new Uint8Array(await promise)
const subtle = {
  generateKey: (...args) => crypto.subtle.generateKey(...args),
  importKey: (...args) => crypto.subtle.importKey(...args),
  exportKey: (...args) => bytes(crypto.subtle.exportKey(...args)),
  digest: (...args) => bytes(crypto.subtle.digest(...args)),
  sign: (...args) => bytes(crypto.subtle.sign(...args)),
  verify: (...args) => crypto.subtle.verify(...args),
  getRandomValues: length => crypto.getRandomValues(new Uint8Array(length))
}

function newClient() {
  return new SequenceWaaS(
    {
      projectAccessKey: facts.accessKey,
      waasConfigKey: btoa(JSON.stringify({ projectId: 123, rpcServer: facts.url })),
      network: 137,
      disableHttpSignatureCheck: true
    },
    storage(),
    facts.curve === 'r1' ? subtle : null,
    storage()
  )
}

const typedData = {
  domain: { name: 'Post', version: '1', chainId: 137 },
  types: { Mail: [{ name: 'text', type: 'string' }] },
  primaryType: 'Mail',
  message: { text: 'hello' }
}

const outcome = {}
const guest = newClient()
outcome.guest = await guest.signIn({ guest: true }, 'phone')
outcome.message = await guest.signMessage({ message: 'hello' })
outcome.typed = await guest.signTypedData({ typedData })
outcome.proof = await guest.sessionAuthProof({ nonce: 'n' })
outcome.valid = await guest.isSessionValid()
outcome.sessions = await guest.listSessions()
outcome.accounts = await guest.listAccounts()
outcome.networks = await guest.networkList()

const mail = newClient()
const tries = []
mail.onEmailAuthCodeRequired(async respond => {
  for (const code of ['000000', await ask('code')]) {
    try {
      await respond(code)
    } catch (error) {
      tries.push(error.name)
    }
  }
})
outcome.mail = await mail.signIn({ email: 'ada@example.com' }, 'laptop')
outcome.tries = tries

const token = newClient()
outcome.token = await token.signIn({ idToken: await ask('token') }, 'tablet')

await guest.dropSession({ strict: true })
outcome.signedIn = await guest.isSignedIn()
process.stdout.write(JSON.stringify(outcome) + '\n', () => process.exit(0))
