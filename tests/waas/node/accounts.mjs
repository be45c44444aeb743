// The published client, with its check of signed answers on, and what it does about accounts and ID tokens.
// Usage: node accounts.mjs '{"url", "accessKey", "curve": "r1"}'

import { ask, facts, finish, newClient } from './client.mjs'

const { keys } = await (await fetch(`${facts.url}/.well-known/jwks.json`)).json()
const outcome = {}
const client = newClient(keys[0])
client.onEmailAuthCodeRequired(async respond => respond(await ask('code')))
outcome.signedIn = await client.signIn({ email: 'ada@example.com' }, 'laptop')
outcome.idToken = await client.getIdToken({ nonce: 'n-1' })
outcome.proof = await client.sessionAuthProof({ nonce: 'n-2' })
outcome.valid = await client.isSessionValid()

const challenge = await client.initAuth({ idToken: await ask('token') })
outcome.linked = await client.linkAccount(challenge)
outcome.both = (await client.listAccounts()).accounts.map(account => account.type)
await client.removeAccount(outcome.linked.account.id)
outcome.one = (await client.listAccounts()).accounts.map(account => account.type)
await new Promise(resolve => setTimeout(resolve, 50)) // answers are verified behind the client's back
outcome.networks = (await client.networkList()).length

const misled = newClient({ ...keys[0], n: keys[0].n.slice(0, -6) + 'AAAAAA' })
process.on('unhandledRejection', error => {
  outcome.refused = error.message
})
await misled.networkList()
await new Promise(resolve => setTimeout(resolve, 50))
try {
  await misled.networkList()
} catch (error) {
  outcome.afterwards = error.message
}
finish(outcome)
