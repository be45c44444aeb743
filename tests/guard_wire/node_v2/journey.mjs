// The unmodified client of the second generation: a wallet of two, signed by its owner and the guard, and its second factor.
import { createHmac } from 'node:crypto'
import { commons, v2 } from '@0xsequence/core'
import { getAuthUpdateProofTypedData, GuardSigner } from '@0xsequence/guard'
import { Orchestrator } from '@0xsequence/signhub'
import { encodeTypedDataDigest } from '@0xsequence/utils'
import { Wallet } from '@0xsequence/wallet'
import { ethers } from 'ethers'

const facts = JSON.parse(process.argv[2])
const owner = new ethers.Wallet(facts.key)
const guard = new GuardSigner(facts.guard, facts.url, facts.appendSuffix)
const coders = { config: v2.config.ConfigCoder, signature: v2.signature.SignatureCoder }
const config = v2.config.ConfigCoder.fromSimple({
  threshold: 2,
  checkpoint: 0,
  signers: [{ address: owner.address, weight: 1 }, { address: facts.guard, weight: 1 }],
})
const context = v2.DeployedWalletContext
const wallet = Wallet.newWallet({ context, coders, orchestrator: new Orchestrator([owner, guard]), config, chainId: facts.chainId })

const imageHash = v2.config.ConfigCoder.imageHashOf(config)

// The orchestrator asks all signers at once; what the owner has signed already travels in the metadata.
async function sign(digest, guardTotpCode) {
  const subdigest = commons.signature.subdigestOf({ digest, chainId: facts.chainId, address: wallet.address })
  const signature = ethers.concat([await owner.signMessage(ethers.getBytes(subdigest)), '0x02'])
  const parts = new Map([[owner.address, { signature, isDynamic: false }]])
  return wallet.signDigest(digest, { parts, ...(guardTotpCode ? { guardTotpCode } : {}) })
}

async function outcome(asking) {
  try {
    return { result: await asking() }
  } catch (error) {
    return { name: error.name, code: error.code, cause: error.cause, message: String(error.message).slice(0, 200) }
  }
}

async function asked(digest, guardTotpCode, withOwner = true) {
  const subdigest = commons.signature.subdigestOf({ digest, chainId: facts.chainId, address: wallet.address })
  const signature = ethers.concat([await owner.signMessage(ethers.getBytes(subdigest)), '0x02'])
  const parts = withOwner ? new Map([[owner.address, { signature, isDynamic: false }]]) : new Map()
  const metadata = { digest, chainId: facts.chainId, address: wallet.address, config, parts, guardTotpCode }
  return outcome(() => guard.sign(ethers.getBytes(subdigest), metadata))
}

let last = 0
async function updateProof(guardTotpCode) {
  while (Math.floor(Date.now() / 1000) <= last) await new Promise((done) => setTimeout(done, 50))
  const timestamp = new Date()
  last = Math.floor(timestamp.getTime() / 1000)
  const signature = await sign(encodeTypedDataDigest(getAuthUpdateProofTypedData(timestamp)), guardTotpCode)
  const deploy = new ethers.Interface(['function deploy(address,bytes32)']).encodeFunctionData('deploy', [context.mainModule, imageHash])
  const wrapped = ethers.AbiCoder.defaultAbiCoder().encode(['address', 'bytes', 'bytes'], [context.factory, deploy, signature])
  return { jwt: facts.token, timestamp, signature: ethers.concat([wrapped, '0x' + '6492'.repeat(16)]) }
}

function authenticator(uri, steps) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...uri.searchParams.get('secret')].map((c) => letters.indexOf(c).toString(2).padStart(5, '0')).join('')
  const seed = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps))
  const mac = createHmac('sha1', seed).update(counter).digest()
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0')
}

const digest = '0x' + '33'.repeat(32)
const found = { wallet: wallet.address, imageHash, digest }
found.signed = await outcome(() => sign(digest))
found.alone = await asked(digest, undefined, false)
if (facts.token) {
  const uri = await guard.createTotp(await updateProof())
  found.codes = (await guard.commitTotp(authenticator(uri, -1), facts.token)).length
  found.methods = await guard.getAuthMethods({ walletAddress: wallet.address, signer: owner })
  found.asked = await asked(digest)
  found.shown = await asked(digest, authenticator(uri, 0))
  await guard.resetTotp(await updateProof(authenticator(uri, 1)))
  found.after = await guard.getAuthMethods({ jwt: facts.token })
}
console.log(JSON.stringify(found))
