"""Tenants of embedded wallets that no image names: documents, signed by a quorum of measured officers (ADR 56)."""
