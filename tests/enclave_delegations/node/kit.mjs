// The published kit, unmodified, asks for one permission of each type of the first line, and says how each is redeemed.
// Calls of our methods go out as lines, and answers come in as lines; the last line is what came of it all.

import { createInterface } from 'node:readline'
import { createExecution, ExecutionMode } from '@metamask/smart-accounts-kit'
import { erc7715ProviderActions } from '@metamask/smart-accounts-kit/actions'
import { DelegationManager } from '@metamask/smart-accounts-kit/contracts'
import { decodeDelegations, hashDelegation } from '@metamask/smart-accounts-kit/utils'
import { createClient, custom, encodeFunctionData, erc20Abi } from 'viem'
import { permissionProvider } from './provider.mjs'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const next = async () => JSON.parse((await lines.next()).value)
const call = async (method, members) => {
  console.log(JSON.stringify({ call: { method, members } }))
  const answer = await next()
  if (answer.error) throw Object.assign(new Error(`${answer.error}: ${answer.cause}`), { code: -32000 })
  return answer
}

const { to, payee, stranger, token, startTime, expiry } = await next()
const approved = []
const approve = shown => approved.push(...shown.map(each => each.understood.words))
const client = createClient({ transport: custom(permissionProvider(call, approve), { retryCount: 0 }) }).extend(
  erc7715ProviderActions()
)

const period = { periodAmount: 100n, periodDuration: 86400, startTime }
const stream = { initialAmount: 60n, maxAmount: 1000n, amountPerSecond: 1n, startTime }
const permissions = {
  'native-token-allowance': { allowanceAmount: 100n, startTime },
  'native-token-periodic': period,
  'native-token-stream': stream,
  'erc20-token-allowance': { allowanceAmount: 100n, startTime, tokenAddress: token },
  'erc20-token-periodic': { ...period, tokenAddress: token },
  'erc20-token-stream': { ...stream, tokenAddress: token }
}
const revocation = { erc20Approve: true, erc721Approve: false, erc721SetApprovalForAll: false }
const permit2 = { permit2Approve: false, permit2Lockdown: false, permit2InvalidateNonces: false }

function payment(type, receiver, amount) {
  if (type.startsWith('native')) return createExecution({ target: receiver, value: amount })
  const callData = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [receiver, amount] })
  return createExecution({ target: token, callData })
}

function redemption(context, executions, mode = ExecutionMode.SingleDefault) {
  const delegations = [decodeDelegations(context)]
  return DelegationManager.encode.redeemDelegations({ delegations, modes: [mode], executions: [executions] })
}

const asked = (type, data, rules) => ({
  chainId: 137,
  expiry,
  to,
  permission: { type, isAdjustmentAllowed: false, data },
  ...rules
})

const results = {}
for (const [type, data] of Object.entries(permissions)) {
  const [answer] = await client.requestExecutionPermissions([asked(type, data, { payee: [payee] })])
  const pay = (receiver, amount) => redemption(answer.context, [payment(type, receiver, amount)])
  const [delegation] = decodeDelegations(answer.context)
  results[type] = {
    chainId: answer.chainId,
    from: answer.from,
    hash: hashDelegation(delegation),
    context: answer.context,
    manager: answer.delegationManager,
    pays: pay(payee, 60n),
    paysTooMuch: pay(payee, 100000n),
    paysAnother: pay(stranger, 1n),
    paysInABatch: redemption(answer.context, [payment(type, payee, 1n), payment(type, payee, 1n)], ExecutionMode.BatchDefault)
  }
}
const kinds = [asked('token-approval-revocation', { ...revocation, ...permit2 }, {})]
const [taken] = await client.requestExecutionPermissions(kinds)
let refused = ''
try {
  await client.requestExecutionPermissions([asked('erc20-token-allowance', permissions['erc20-token-allowance'], {})])
} catch (error) {
  refused = error.details ?? error.message
}
const supported = await client.getSupportedExecutionPermissions()
const granted = await client.getGrantedExecutionPermissions()
await client.request({ method: 'wallet_revokeExecutionPermission', params: { permissionContext: taken.context } })
const left = await client.getGrantedExecutionPermissions()
const text = (_, value) => (typeof value === 'bigint' ? value.toString() : value)
const last = { results, approved, refused, supported, granted: granted.map(each => each.context), left: left.length }
process.stdout.write(JSON.stringify(last, text) + '\n', () => process.exit(0)) // standard input is still open
