"""Arithmetic: hashing, sealing, signing, the SRP exchange and randomness.

Owns the numbers and nothing around them: no rows, no clock, no environment, no HTTP. Keys and parameters come in as
arguments, values go out. Which key a pool signs with and for how long is `tokens`; what a password must look like is
`policy`; who may try how often, and what a failed proof means for the person, is `accounts` and `signin`; checking
`exp`, `iss` and `token_use` of a verified token is `tokens.verify`.
"""
