"""Enclave images: build, measure, sign, explain and boot them; write the KMS policies that name their measurements.

Trust side: outside. Runs where images are made; nothing here runs in an enclave or is trusted by one.
May import: protocol, attestation.
"""
