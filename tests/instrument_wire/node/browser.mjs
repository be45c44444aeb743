// What published browser code expects around it; to be imported first.

globalThis.window = globalThis.self = globalThis
globalThis.location = { origin: 'http://localhost:3000' }
