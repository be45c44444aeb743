// The published client sends everything that it can send, each until it has the hash of a mined transaction.
// Usage: node send.mjs '{"url", "accessKey", "curve"}'

import { finish, newClient } from './client.mjs'

const friend = '0x1111111111111111111111111111111111111111'
const token = '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48'
const client = newClient()
await client.signIn({ guest: true }, 'phone')
const { data } = await client.feeOptions({ transactions: [{ to: friend, value: 1n }] })
if (data.feeOptions.length !== 0) throw new Error('a fee for a client of a tenant that pays')

const calls = [
  () => client.sendTransaction({ transactions: [{ to: friend, value: 5n }, { to: token, data: '0x3251ba32' }] }),
  () => client.sendERC20({ token, to: friend, value: 100n }),
  () => client.sendERC721({ token, to: friend, id: '7', safe: true, data: '0x1234' }),
  () => client.sendERC721({ token, to: friend, id: '7' }),
  () => client.sendERC1155({ token, to: friend, values: [{ id: '1', amount: 10n }] }),
  () => client.callContract({ to: token, abi: 'run(address to, uint256[] ids)', func: 'run', args: [friend, ['1', '2']] })
]
const hashes = []
for (const call of calls) {
  const answer = await call()
  if (answer.code !== 'transactionReceipt') throw new Error(JSON.stringify(answer))
  hashes.push(answer.data.txHash)
}
finish({ hashes })
