// The framework's contracts as its authors publish them: creation code by name, in one line of JSON.

import * as bytecode from '@metamask/delegation-abis/bytecode'

process.stdout.write(JSON.stringify(bytecode) + '\n')
