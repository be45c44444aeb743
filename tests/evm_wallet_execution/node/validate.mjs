// What the published library asks a chain in order to validate a signature of a wallet that may not be deployed yet.
import { Erc6492 } from '@0xsequence/wallet-primitives'

const [address, hash, signature] = process.argv.slice(2)
const provider = {
  request: async ({ params }) => {
    process.stdout.write(params[0].data)
    return '0x01'
  },
}
await Erc6492.isValid(address, hash, signature, provider)
