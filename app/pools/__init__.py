"""Use-cases of whoever configures: pools, app clients, domains, resource servers, access keys.

Configuration is read through `find`, out of the cache; every change says so (`env.configuration_changed`), and every
process drops what it kept (`app.cache`).
"""
