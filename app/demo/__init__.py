"""The demo, for development only: a pool with everything to try (`seed`), and an application to sign in to.

The application at `/demo` is a relying party like any other (OpenID Connect Core 1.0, 3.1): it knows what discovery
tells, its own client_id and secret, and what comes back to its redirect URI. `protocol` is what it does, `application`
its pages, `session` what a browser keeps for it, and `inside` how it asks a server that runs in the same process.
"""
