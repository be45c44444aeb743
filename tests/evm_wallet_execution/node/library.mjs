// What the published library makes of a wallet's answers: its own hashes, addresses, encodings and recovered signers.
import { Address, Attestation, Config, Context, Extensions, GenericTree, Payload, SessionConfig, Signature } from '@0xsequence/wallet-primitives'
import { Bytes, Hex } from 'ox'

const asked = JSON.parse(await new Promise((resolve) => {
  let text = ''
  process.stdin.on('data', (part) => (text += part)).on('end', () => resolve(text))
}))

const bigints = (value) =>
  JSON.parse(JSON.stringify(value), (name, inner) =>
    ['space', 'nonce', 'value', 'gasLimit'].includes(name) && typeof inner === 'string' ? `big:${inner}` : inner)
const revive = (value) => {
  if (typeof value === 'string' && value.startsWith('big:')) return BigInt(value.slice(4))
  if (Array.isArray(value)) return value.map(revive)
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v)]))
  return value
}
const sessionsHash = (topology) => GenericTree.hash(SessionConfig.sessionsTopologyToConfigurationTree(topology))

const methods = {
  configuration: ({ configuration, sessions, recovery }) => {
    const config = Config.configFromJson(JSON.stringify(configuration))
    const tree = SessionConfig.sessionsTopologyFromJson(JSON.stringify(sessions))
    const leaf = (part) => Array.isArray(part) ? part.map(leaf) : {
      type: 'leaf', signer: part.signer, requiredDeltaTime: BigInt(part.requiredDeltaTime), minTimestamp: BigInt(part.minTimestamp),
    }
    Config.evaluateConfigurationSafety(config)
    return {
      imageHash: Hex.fromBytes(Config.hashConfiguration(config)),
      address: Address.from(config, Context.Rc5),
      sessions: sessionsHash(tree),
      recovery: Extensions.Recovery.hashConfiguration(leaf(recovery)),
    }
  },
  // The library's client: collects leaf signatures, fills the configuration, encodes once, recovers.
  signature: async ({ configuration, wallet, chainId, payload, leaves }) => {
    const config = Config.configFromJson(JSON.stringify(configuration))
    const parsed = revive(bigints(payload))
    const topology = Signature.fillLeaves(config.topology, (leaf) => {
      const found = leaves.find(({ address }) => address.toLowerCase() === leaf.address?.toLowerCase())
      if (!found) return undefined
      const { type, r, s, yParity } = found.signature
      return { type, r: BigInt(r), s: BigInt(s), yParity }
    })
    const encoded = Signature.encodeSignature({ noChainId: chainId === 0, configuration: { ...config, topology } })
    const recovered = await Signature.recover(Signature.decodeSignature(encoded), wallet, chainId, parsed)
    return {
      digest: Hex.fromBytes(Payload.hash(wallet, chainId, parsed)),
      packed: parsed.type === 'call' ? Hex.fromBytes(Payload.encode(parsed, wallet)) : null,
      encoded: Hex.fromBytes(encoded),
      weight: Number(recovered.weight),
      imageHash: Hex.fromBytes(Config.hashConfiguration(recovered.configuration)),
    }
  },
  session: ({ sessions, permissions }) => {
    const tree = SessionConfig.sessionsTopologyFromJson(JSON.stringify(sessions))
    const added = SessionConfig.addExplicitSession(tree, {
      signer: permissions.signer,
      chainId: Number(permissions.chainId),
      valueLimit: BigInt(permissions.valueLimit),
      deadline: BigInt(permissions.deadline),
      permissions: permissions.permissions.map(({ target, rules }) => ({
        target,
        rules: rules.map((rule) => ({
          ...rule, value: Bytes.fromHex(rule.value), mask: Bytes.fromHex(rule.mask), offset: BigInt(rule.offset),
        })),
      })),
    })
    return { before: sessionsHash(tree), after: sessionsHash(added) }
  },
  barred: ({ sessions, signer }) => {
    const tree = SessionConfig.sessionsTopologyFromJson(JSON.stringify(sessions))
    return { after: sessionsHash(SessionConfig.addToImplicitBlacklist(tree, signer)) }
  },
  chained: ({ parts }) => {
    const decoded = parts.map((part) => Signature.decodeSignature(Bytes.fromHex(part)))
    return { encoded: Hex.fromBytes(Signature.encodeChainedSignature(decoded)) }
  },
  attestation: ({ attestation }) => ({
    hash: Hex.fromBytes(Attestation.hash(Attestation.fromJson(JSON.stringify(attestation)))),
  }),
  recovery: ({ wallet, payload, chainId }) => ({
    digest: Extensions.Recovery.hashRecoveryPayload(revive(bigints(payload)), wallet, chainId, chainId === 0),
  }),
}

console.log(JSON.stringify(await methods[asked.method](asked)))
