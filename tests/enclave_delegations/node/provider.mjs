// An EIP-1193 provider of ERC-7715 over the methods of delegations, as a wallet's page would have it.
// `call(method, members)` signs and sends one of them; `approve(shown)` shows a person what would be granted, and asks.

import { decodeDelegations, hashDelegation } from '@metamask/smart-accounts-kit/utils'

const refusal = (code, message) => Object.assign(new Error(message), { code })

export function permissionProvider(call, approve) {
  const methods = {
    async wallet_requestExecutionPermissions(requests) {
      const shown = []
      for (const permission of requests) shown.push(await call('Request', { permission }))
      if (!(await approve(shown))) throw refusal(4001, 'the user said no')
      const granted = []
      for (const { hash } of shown) granted.push((await call('Grant', { hash })).permission)
      return granted
    },
    async wallet_getGrantedExecutionPermissions() {
      return (await call('List', {})).permissions
    },
    async wallet_getSupportedExecutionPermissions() {
      return (await call('Supported', {})).permissions
    },
    async wallet_revokeExecutionPermission({ permissionContext }) {
      const [delegation] = decodeDelegations(permissionContext)
      await call('Revoke', { hash: hashDelegation(delegation) })
      return {}
    }
  }
  return {
    async request({ method, params }) {
      if (!(method in methods)) throw refusal(4200, `${method} is not served`)
      return methods[method](params)
    }
  }
}
