"""The guard: what may be signed. Rules about effects, pure; budgets over sealed records."""
