"""What operators do on purpose: stop, restart one after the other, upgrade, replace the certificate."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

from app import installation
from app.config import Settings
from bench.scenarios import Jwks, Password, Refresh, UserInfo
from chaos import hostile
from chaos.conversations import Codes, Healthz, MailedSignUp, SignUp
from chaos.load import Figures, figures
from chaos.processes import until
from chaos.trial import DISTURBED, RECOVERED, NotPossible, Trial, failures, fault
from tests import nginx
from tests.ports import free_port

SLOW = 4.0
"""Seconds that the mail server takes, and so a sign-up that sends a code."""
RENEWED_WITHIN = 60.0


@fault("stop", "SQLite", "PostgreSQL")
def stop(trial: Trial) -> None:
    """Told to stop (SIGTERM) while requests are under way that take four seconds. They are answered first."""
    with hostile.mail_server(greets_after=SLOW) as port:
        server = trial.serve(smtp_host="127.0.0.1", smtp_port=str(port), smtp_tls="none")
        load = trial.ask([(MailedSignUp(trial.site), 0.7)])
        trial.undisturbed(SLOW + trial.durations.calm)
        until(lambda: any(0.5 < time.monotonic() - began < SLOW / 2 for began in load.under_way))
        told = time.monotonic()
        with trial.disturbed():
            status = server.end()
        took = time.monotonic() - told
        load.stop()
        under_way = figures([one for one in load.asked if one.began <= told - 0.2 and one.ended > told])
        finished = under_way.failed == 0 < under_way.answered
        trial.claim("what was under way is finished", finished, _counted(under_way))
        trial.claim("it ends with status 0", status == 0, f"{status}, after {took:.1f} s")
        server.start()
        trial.nothing_is_lost()


@fault("rolling-restart", "PostgreSQL")
def rolling_restart(trial: Trial) -> None:
    """Two servers behind nginx are restarted one after the other, at a hundred requests a second, of which some take
    four seconds. None fails."""
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is None:
        raise NotPossible("there is no nginx")
    folder = trial.home / "nginx"
    folder.mkdir(exist_ok=True)
    base_url = f"https://localhost:{free_port()}"
    with hostile.mail_server(greets_after=SLOW) as port:
        mail = {"smtp_host": "127.0.0.1", "smtp_port": str(port), "smtp_tls": "none"}
        proxied = {"base_url": base_url, "trusted_proxies": "1", **mail}
        first = trial.serve(**proxied)
        second = trial.serve_also(**proxied)
        trial.site = first.site(base_url)
        upstream = f"127.0.0.1:{first.port};\n    server 127.0.0.1:{second.port}"
        with nginx.serving(folder, upstream=upstream, base_url=base_url):
            site = trial.site
            fast = [(Jwks(site), 40), (UserInfo(site), 42), (Refresh(site), 8), (Password(site), 3), (SignUp(site), 1)]
            # Two at once: more slow mails than that a worker takes from nobody, and a server may have but one left.
            paces = [*fast, (Codes(site), 2), (MailedSignUp(site), 1.6 / SLOW)]
            share = 0.3 if trial.short else 1.0
            evenly = [MailedSignUp.name]
            load = trial.ask([(one, max(share * rate, 0.4)) for one, rate in paces], tls=True, evenly=evenly)
            trial.undisturbed(SLOW + trial.durations.calm)
            statuses = []
            with trial.disturbed():
                for server in (first, second):
                    statuses.append(server.end())
                    server.start()
                    time.sleep(SLOW if trial.short else 3 * SLOW)
            with trial.phase(RECOVERED):
                time.sleep(trial.durations.calm)
            load.stop()
            during = trial.figures(DISTURBED)
            trial.claim("none fails", during.failed == 0, failures(during))
            trial.no_more_refused()
            slow = trial.figures(DISTURBED, "mailed sign-up")
            trial.claim("slow requests are answered, too", slow.failed == 0 < slow.answered, _counted(slow))
            trial.claim("both ended with status 0", statuses == [0, 0], f"{statuses}")
            # Past the proxy, whose certificate nobody has signed.
            facts = site.facts | {"base_url": second.url}
            trial.site = replace(site, address=("127.0.0.1", second.port), facts=facts)
            trial.nothing_is_lost()


@fault("upgrade-by-hup")
def upgrade_by_hup(trial: Trial) -> None:
    """SIGHUP puts new workers in the place of the old ones. No request fails."""
    server = trial.serve()
    trial.ask()
    trial.undisturbed()
    before = set(server.workers())
    with trial.disturbed():
        server.process.send_signal(signal.SIGHUP)
        renewed = until(lambda: not server.running or not before & set(server.workers()), within=40)
        time.sleep(trial.durations.calm)
    trial.claim("the parent lives on", server.running)
    if not renewed:
        trial.load.stop()
        during = trial.figures(DISTURBED)
        trial.claim("no request fails", during.failed == 0, failures(during))
        raise NotPossible("this server does not replace its workers at SIGHUP")
    trial.worker_count(len(before))
    trial.recovers(time.monotonic(), target=5)
    during = trial.figures(DISTURBED)
    trial.claim("no request fails", during.failed == 0, failures(during))
    trial.no_more_refused()


@fault("certificate-replaced")
def certificate_replaced(trial: Trial) -> None:
    """The files of the certificate are replaced, and SIGHUP is sent. New connections see the new one, none fails."""
    old, new = (_certificate(trial.home / name) for name in ("old-tls", "new-tls"))
    used = tuple(trial.home / name for name in ("certificate.pem", "key.pem"))
    _put(old, used)
    server = trial.serve(tls_certificate=str(used[0]), tls_key=str(used[1]))
    trial.site = server.https_site()
    before = server.certificate()
    load = trial.ask([(Healthz(trial.site), 30)], tls=True)
    trial.undisturbed()
    with trial.disturbed():
        _put(new, used)
        replaced = time.monotonic()
        by_itself = until(lambda: server.certificate() != before, within=5)
        if not by_itself:
            server.process.send_signal(signal.SIGHUP)
        shown = until(lambda: server.running and server.certificate() != before, within=RENEWED_WITHIN)
        took = time.monotonic() - replaced
        time.sleep(trial.durations.calm)
    trial.claim("the server lives on", server.running)
    how = f"after {took:.1f} s, {'by itself' if by_itself else 'at SIGHUP'}" if shown else "not at all"
    trial.claim("the new certificate is shown", shown, how)
    with trial.phase(RECOVERED):
        time.sleep(trial.durations.calm)
    load.stop()
    for phase in (DISTURBED, RECOVERED):
        found = trial.figures(phase)
        trial.claim(f"no request fails, {phase}", found.failed == 0 < found.answered, failures(found))
    trial.no_more_refused()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """One for localhost, and its key."""
    folder.mkdir(exist_ok=True)
    settings = Settings(mode="development", data_dir=folder, base_url="https://localhost:8443", tls="self-signed")
    certificate, key = installation.tls_files(settings)
    assert certificate and key
    return Path(certificate), Path(key)


def _put(files: tuple[Path, Path], used: tuple[Path, ...]) -> None:
    """In their place at once, as tools for certificates do it: nobody reads half a file."""
    for source, to in zip(files, used, strict=True):
        draft = to.with_suffix(".new")
        shutil.copy(source, draft)
        draft.replace(to)


def _counted(found: Figures) -> str:
    shown = f"{found.answered} of {found.asked} answered, {found.refused} refused"
    return shown + (f"; failed: {failures(found)}" if found.failed else "")
