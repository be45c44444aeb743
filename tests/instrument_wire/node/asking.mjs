// What a person or a browser would fetch is asked for on standard output and read from standard input, as JSON lines.

import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export const ask = async (what, facts = {}) => {
  console.log(JSON.stringify({ ask: what, ...facts }))
  return JSON.parse((await lines.next()).value)
}

export const tell = (outcome) => {
  console.log(JSON.stringify(outcome))
  process.exit(0)
}
