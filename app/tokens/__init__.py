"""The only mint: every token that any door hands out is made here, and ended here.

`keys` holds a pool's signing keys, `claims` says what goes into a token, `assurance` how surely its user signed in and
`scopes` what for; `issue` makes them, `refresh` makes the next ones, `exchange` makes one from another, `codes` gives
and takes authorization codes, `verify` recognises a token, `revoke` ends what was issued. Who may have a token is
decided by `signin` and by the grants; what a token's request looks like, by the doors.
"""
