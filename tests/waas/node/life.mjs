// The published client's life against the service; the last line says what came of it.
// Usage: node life.mjs '{"url", "accessKey", "curve"}'

import { ask, finish, newClient } from './client.mjs'

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
finish(outcome)
