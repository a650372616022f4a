"""Settings that go together and still are not what an installation should have."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.config import LOOPBACK, Settings
from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject

tell = Group("configuration")


def check(subject: Subject) -> list[Finding]:
    settings = subject.settings
    found = [*_mode(settings), *_proxies(settings), *_limits(settings), *_hashes(settings)]
    if settings.log_level == "debug":
        found.append(tell.advice("log-level", "Everything is logged, which is slow.", "COGNATE_LOG_LEVEL=info"))
    if not found:
        found.append(tell.fine("settings", f"The settings go together; the base URL is {settings.base_url}."))
    return found


def _mode(settings: Settings) -> list[Finding]:
    local = urlsplit(settings.base_url).hostname in LOOPBACK
    if settings.development:
        what = "The mode is development: any API signature is accepted, and the outbox is open on this machine"
        return [tell.advice("mode", f"{what}.", "COGNATE_MODE=production, for anything but trying things out")]
    if local:
        what = f"The base URL is {settings.base_url}, which leads nobody but this machine here"
        return [tell.advice("base-url", f"{what}.", "COGNATE_BASE_URL=https://<the public name>")]
    return []


def _proxies(settings: Settings) -> list[Finding]:
    ends_tls = bool(settings.tls or settings.tls_certificate)
    if settings.https and not ends_tls and not settings.trusted_proxies:
        return [
            tell.problem(
                "trusted-proxies",
                "The base URL is https and there is no certificate, so a proxy ends TLS; but no proxy is believed, and "
                "every request seems to come from the proxy's address.",
                "COGNATE_TRUSTED_PROXIES=<how many proxies a request passes>, or COGNATE_TLS_CERTIFICATE and "
                "COGNATE_TLS_KEY",
            )
        ]
    if settings.trusted_proxies and settings.host not in LOOPBACK:
        return [
            tell.advice(
                "listening",
                f"Proxies are believed, and the server listens on {settings.host}: whoever reaches port "
                f"{settings.port} without passing the proxy may claim any address.",
                "COGNATE_HOST=127.0.0.1, or let a firewall pass nobody but the proxy",
            )
        ]
    return []


def _limits(settings: Settings) -> list[Finding]:
    if settings.development:
        return []
    found = []
    for value, variable, what in (
        (settings.sign_ups_per_network, "COGNATE_SIGN_UPS_PER_NETWORK", "sign-ups from one network"),
        (settings.codes_per_address, "COGNATE_CODES_PER_ADDRESS", "codes to one address, and wrong guesses at them"),
    ):
        if not value:
            found.append(tell.advice("limits", f"There may be any number of {what}.", f"unset {variable}"))
    if settings.proof_of_domains == "off":
        what = "Custom domains are served without a proof: whoever may sign requests can take any name that leads here"
        found.append(tell.advice("domain-proof", f"{what}.", "unset COGNATE_DOMAIN_PROOF"))
    return found


def _hashes(settings: Settings) -> list[Finding]:
    usual = Settings(mode="development")
    work = settings.argon2_memory_kib * settings.argon2_time
    if settings.argon2_memory_kib >= usual.argon2_memory_kib and work >= usual.argon2_memory_kib * usual.argon2_time:
        return []
    what = "Hashes of passwords are cheaper than by default, and so is guessing after a theft of the database"
    return [tell.advice("argon2", f"{what}.", "unset COGNATE_ARGON2_MEMORY_KIB and COGNATE_ARGON2_TIME")]
