// The published client asks for one permission of each type; the requests go out as lines, and answers come in as lines.
// What it made of the answers, and what the published decoder reads in them, is the last line.

import { createInterface } from 'node:readline'
import { makePermissionDecoderConfigs } from '@metamask/7715-permission-types'
import { DELEGATOR_CONTRACTS } from '@metamask/delegation-deployments'
import { erc7715ProviderActions } from '@metamask/smart-accounts-kit/actions'
import { decodeDelegations, hashDelegation } from '@metamask/smart-accounts-kit/utils'
import { createClient, custom, getAddress } from 'viem'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const request = async call => {
  console.log(JSON.stringify({ call }))
  return JSON.parse((await lines.next()).value)
}
const client = createClient({ transport: custom({ request }) }).extend(erc7715ProviderActions())

const to = '0x1111111111111111111111111111111111111111'
const payee = ['0x3333333333333333333333333333333333333333']
const tokenAddress = '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48'
const startTime = 1800000000
const period = { periodAmount: 100n, periodDuration: 86400, startTime }
const stream = { initialAmount: 1n, maxAmount: 1000n, amountPerSecond: 2n, startTime }
const revoke = { erc20Approve: true, erc721Approve: false, erc721SetApprovalForAll: true }
const permit2 = { permit2Approve: false, permit2Lockdown: false, permit2InvalidateNonces: false }
const permissions = {
  'native-token-allowance': { allowanceAmount: 100n, startTime },
  'native-token-periodic': period,
  'native-token-stream': stream,
  'erc20-token-allowance': { allowanceAmount: 100n, startTime, tokenAddress },
  'erc20-token-periodic': { ...period, tokenAddress },
  'erc20-token-stream': { ...stream, tokenAddress },
  'token-approval-revocation': { ...revoke, ...permit2 }
}

const names = DELEGATOR_CONTRACTS['1.3.0'][137]
const contracts = Object.fromEntries(
  Object.entries(names).map(([name, address]) => [name.replace(/^ERC/, 'erc').replace(/^./, c => c.toLowerCase()), address])
)
const decoders = makePermissionDecoderConfigs(contracts)

function decoded(delegation) {
  const caveats = delegation.caveats.map(caveat => ({ ...caveat, enforcer: getAddress(caveat.enforcer) }))
  for (const decoder of decoders) {
    const required = new Map(
      decoder.requiredEnforcers instanceof Map ? decoder.requiredEnforcers : Object.entries(decoder.requiredEnforcers)
    )
    const allowed = new Set([...required.keys(), ...decoder.optionalEnforcers])
    const count = enforcer => caveats.filter(caveat => caveat.enforcer === enforcer).length
    if (!caveats.every(caveat => allowed.has(caveat.enforcer))) continue
    if (![...required].every(([enforcer, times]) => count(enforcer) === times)) continue
    try {
      const data = decoder.validateAndDecodeData(caveats, contracts)
      const rules = decoder.rules.map(rule => rule({ contractAddresses: contracts, caveats, requiredEnforcers: required }))
      return { type: decoder.permissionType, data, rules: rules.filter(rule => rule !== null) }
    } catch (error) {
      continue
    }
  }
  return null
}

const results = []
for (const [type, data] of Object.entries(permissions)) {
  const options = type === 'token-approval-revocation' ? {} : { payee, redeemer: [to] }
  const [answer] = await client.requestExecutionPermissions([
    { chainId: 137, expiry: startTime + 2592000, to, permission: { type, isAdjustmentAllowed: false, data }, ...options }
  ])
  const [delegation] = decodeDelegations(answer.context)
  results.push({ type, chainId: answer.chainId, hash: hashDelegation(delegation), decoded: decoded(delegation) })
}
const supported = await client.getSupportedExecutionPermissions()
const granted = await client.getGrantedExecutionPermissions()
const text = (_, value) => (typeof value === 'bigint' ? value.toString() : value)
const last = JSON.stringify({ results, supported, granted: granted.length }, text)
process.stdout.write(last + '\n', () => process.exit(0)) // standard input is still open
