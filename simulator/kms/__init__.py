"""A stand-in for AWS KMS that says no: it evaluates real key-policy JSON against verified attestation documents.

Trust side: simulator. Any number of share holders (keys in accounts and regions of their own) behind one listener.
`service.KmsService` is what callers compose, `server.serve` puts it on a socket, `faults.Fault` makes a holder fail or
lie; `policy` and `conditions` decide who may open what.
"""
