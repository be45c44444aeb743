// What the programs beside this file have in common: the published client with memory for storage, and a person who
// is asked on standard output, one line each, and answers on standard input.

import { createInterface } from 'node:readline'
import { SequenceWaaS } from '@0xsequence/waas'

export const facts = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
export const ask = async what => {
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

// `answersKey`: the service's key as a JWK, in the place of the one that is compiled into the client; answers are then
// verified by it, and refused.
export function newClient(answersKey) {
  const backend = answersKey ? { ...subtle, importKey: (format, _, ...rest) => subtle.importKey(format, answersKey, ...rest) } : subtle
  return new SequenceWaaS(
    {
      projectAccessKey: facts.accessKey,
      waasConfigKey: btoa(JSON.stringify({ projectId: 123, rpcServer: facts.url })),
      network: 137,
      disableHttpSignatureCheck: answersKey === undefined
    },
    storage(),
    facts.curve === 'r1' ? backend : null,
    storage()
  )
}

export function finish(outcome) {
  process.stdout.write(JSON.stringify(outcome) + '\n', () => process.exit(0))
}
