"""Key policies of share holders: written for measured images, examined for mistakes, compared in words (KM-07).

Trust side: outside. A policy that is read here is anybody's file. What is written here becomes effective only when a
holder puts it on the key; who may do that can undo everything that a policy says (docs/adr/0016).

`generate` writes, `lint` finds mistakes, `diff` compares; `document`, `conditions` and `evaluate` say what a policy
means, and `vocabulary` which words of AWS there are.
"""
