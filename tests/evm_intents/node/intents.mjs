// The published client against a service that says yes to everything: prints every request that it makes.
// Usage: node intents.mjs k1|r1 WALLET

import { SequenceWaaS } from '@0xsequence/waas'

const [curve, wallet] = process.argv.slice(2)
const requests = []
const friend = '0x1111111111111111111111111111111111111111'
const token = '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48'

const answers = {
  initiateAuth: data => ({ sessionId: data.sessionId, identityType: data.identityType, expiresIn: 300, challenge: '0x12' }),
  closeSession: () => ({}),
  signMessage: data => ({ message: data.message, signature: '0x12' }),
  signTypedData: () => ({ encodedTypedData: '0x12', signature: '0x12' }),
  sendTransaction: data => ({ request: data, txHash: '0x12', metaTxHash: '12', receipt: {}, simulations: [] }),
  feeOptions: () => ({ feeOptions: [] }),
  sessionAuthProof: data => ({ ...data, sessionId: 'x', message: '0x12', signature: '0x12' }),
  getSession: data => ({ session: data.sessionId, sessionId: data.sessionId, wallet: data.wallet, validated: true }),
  listSessions: () => [],
  listAccounts: () => ({ accounts: [], currentAccountId: '' }),
  getIdToken: () => ({ idToken: 'x', expiresIn: 600 }),
  getTransactionReceipt: data => ({ request: data, txHash: '0x12', metaTxHash: '12', receipt: {} })
}
const codes = {
  initiateAuth: 'authInitiated',
  closeSession: 'sessionClosed',
  signMessage: 'signedMessage',
  signTypedData: 'signedTypedData',
  sendTransaction: 'transactionReceipt',
  getSession: 'getSessionResponse',
  listAccounts: 'accountList',
  getIdToken: 'idToken',
  getTransactionReceipt: 'transactionReceipt'
}

globalThis.fetch = async (url, init) => {
  const reply = body => new Response(JSON.stringify(body), { status: 200, headers: { Date: new Date().toUTCString() } })
  if (String(url).endsWith('/status')) return reply({})
  requests.push({ url: String(url), body: init.body })
  const { intent } = JSON.parse(init.body)
  if (intent === undefined) return reply({ chains: [] })
  const { name, data } = intent
  if (name === 'openSession') {
    return reply({ session: { identity: { type: 'Guest' } }, response: { code: 'sessionOpened', data: { sessionId: data.sessionId, wallet } } })
  }
  return reply({ response: { code: codes[name] ?? name, data: answers[name](data) } })
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

const client = new SequenceWaaS(
  {
    projectAccessKey: 'key',
    waasConfigKey: btoa(JSON.stringify({ projectId: 1, rpcServer: 'https://waas.example' })),
    network: 137,
    disableHttpSignatureCheck: true
  },
  storage(),
  curve === 'r1' ? subtle : null,
  storage()
)

await client.signIn({ guest: true }, 'device')
await client.signMessage({ message: 'Grüße \u0001 \u{1f600}' })
await client.signTypedData({
  typedData: {
    domain: { name: 'Post', version: '1', chainId: 137 },
    types: { Mail: [{ name: 'to', type: 'address' }, { name: 'amount', type: 'uint256' }] },
    primaryType: 'Mail',
    message: { to: friend, amount: 12 }
  }
})
await client.sendTransaction({ transactions: [{ to: friend, value: 5n }, { to: token, data: '0x3251ba32' }] })
await client.sendTransaction({
  transactions: [{ to: friend, value: 1n }],
  transactionsFeeOption: { token: { type: 'erc20Token', contractAddress: token }, to: friend, value: '100', gasLimit: 0 },
  transactionsFeeQuote: 'quote'
})
await client.sendERC20({ token, to: friend, value: 100n })
await client.sendERC721({ token, to: friend, id: '7', safe: true, data: '0x1234' })
await client.sendERC721({ token, to: friend, id: '7' })
await client.sendERC1155({ token, to: friend, values: [{ id: '1', amount: 10n }] })
await client.callContract({
  to: token,
  abi: 'run(address to, bytes data, uint256[] ids)',
  func: 'run',
  args: [friend, { abi: 'transfer(address,uint256)', args: [friend, '1'] }, ['1', '2']]
})
await client.feeOptions({ transactions: [{ to: friend, value: 1n }] })
await client.sessionAuthProof({ nonce: 'n' })
await client.listSessions()
await client.listAccounts()
await client.getIdToken({ nonce: 'n' })
await client.isSessionValid()
await client.dropSession({ strict: false })
console.log(JSON.stringify(requests))
