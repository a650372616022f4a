"""PostgreSQL stands still, stops, fails over; a row is locked."""

from __future__ import annotations

import time

from chaos.conversations import OneUser, OtherUsers
from chaos.load import PATIENCE, figures
from chaos.postgresql import Cluster
from chaos.processes import kill
from chaos.server import several_hosts
from chaos.trial import DISTURBED, Trial, failures, fault

RECONNECTED_WITHIN = 10.0
FAILED_OVER_WITHIN = 30.0
REFUSED_WITHIN = 15.0
LOCKED = 15.0


def _cluster(trial: Trial) -> Cluster:
    cluster = trial.prepare().cluster
    assert cluster is not None
    return cluster


def _told_honestly(trial: Trial) -> None:
    """While there is no database: each request is answered or refused, and documents are served from memory."""
    during = trial.figures(DISTURBED)
    trial.claim("each request is answered, or refused with Retry-After", during.failed == 0, failures(during))
    trial.claim("some had to be refused", during.refused > 0, f"{during.refused} of {during.asked}")
    jwks = trial.figures(DISTURBED, "jwks")
    trial.claim("JWKS is answered throughout", jwks.asked == jwks.answered > 0, f"{jwks.answered} of {jwks.asked}")
    if during.longest is not None:
        trial.claim(
            f"none waits longer than {REFUSED_WITHIN:g} s",
            during.longest <= 1000 * REFUSED_WITHIN,
            f"{during.longest / 1000:.1f} s",
            timed=True,
        )


@fault("postgresql-frozen", "PostgreSQL")
def postgresql_frozen(trial: Trial) -> None:
    """PostgreSQL stands still (SIGSTOP): connections stay open, and nothing is said on them. It goes on later."""
    cluster = _cluster(trial)
    trial.serve()
    trial.ask()
    trial.undisturbed()
    with cluster.frozen(), trial.disturbed():
        time.sleep(max(10.0, trial.durations.harm))
    trial.recovers(time.monotonic(), target=RECONNECTED_WITHIN)
    _told_honestly(trial)


@fault("postgresql-failover", "PostgreSQL")
def postgresql_failover(trial: Trial) -> None:
    """The primary stands still for good, and its standby is promoted; the URL names both. Replication is synchronous,
    so that what was acknowledged is there."""
    cluster = _cluster(trial)
    cluster.stop()
    # The standby copies what is there, and has to be in touch before a commit waits for it.
    standby = cluster.copied(cluster.data.with_name(f"{cluster.data.name}-standby"), follows=cluster)
    cluster.start()
    trial.also_stop(standby)
    standby.start()
    with cluster.connect("postgres") as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        connection.execute("SELECT pg_reload_conf()")
    trial.serve(several_hosts([cluster, standby]))
    trial.ask()
    trial.undisturbed()
    with cluster.frozen():
        began = time.monotonic()
        with trial.disturbed():
            time.sleep(2)
            standby.promote()
            promoted = time.monotonic()
            seconds = trial.settles(promoted, within=FAILED_OVER_WITHIN + 60)
        trial.claim("it answers again from the standby", seconds is not None)
        if seconds is not None:
            shown = f"{seconds:.1f} s after the promotion, {promoted - began + seconds:.1f} s after the fault"
            trial.claim(f"within {FAILED_OVER_WITHIN:g} s", seconds <= FAILED_OVER_WITHIN, shown, timed=True)
        trial.recovers(time.monotonic(), target=RECONNECTED_WITHIN)
    during = trial.figures(DISTURBED)
    trial.claim("each request is answered, or refused with Retry-After", during.failed == 0, failures(during))


@fault("postgresql-restarted", "PostgreSQL")
def postgresql_restarted(trial: Trial) -> None:
    """PostgreSQL is stopped, and started again after a while."""
    cluster = _cluster(trial)
    trial.serve()
    trial.ask()
    trial.undisturbed()
    with trial.disturbed():
        cluster.stop()
        time.sleep(trial.durations.harm)
        cluster.start()
    trial.recovers(time.monotonic(), target=RECONNECTED_WITHIN)
    _told_honestly(trial)


@fault("worker-dies-without-database", "PostgreSQL")
def worker_dies_without_database(trial: Trial) -> None:
    """A worker dies while PostgreSQL is away. Its successor waits for the database, and the server does not end."""
    cluster = _cluster(trial)
    server = trial.serve()
    trial.ask()
    trial.undisturbed()
    workers = server.workers()
    with trial.disturbed():
        cluster.stop()
        kill(workers[0])
        time.sleep(trial.durations.harm)
        cluster.start()
    trial.claim("the parent lives on", server.running)
    trial.worker_count(len(workers))
    trial.recovers(time.monotonic(), target=2 * RECONNECTED_WITHIN)


@fault("row-locked", "PostgreSQL")
def row_locked(trial: Trial) -> None:
    """One user's row is locked for 15 seconds, and they try to sign in all the while. Nobody else notices."""
    cluster = _cluster(trial)
    trial.serve()
    others, theirs = OtherUsers(trial.site), OneUser(trial.site)
    trial.ask([*(pace for pace in trial.usual() if pace[0].name != "password"), (others, 5)])
    user = theirs.seat(0).user["username"]
    pace = 2 * trial.durations.share
    with cluster.connect() as lock, trial.ask_also([(theirs, pace)]) as blocked:
        trial.undisturbed()
        with lock.transaction():
            lock.execute('SELECT sub FROM "user" WHERE username = %s FOR UPDATE', [user])
            began = time.monotonic()
            with trial.disturbed():
                time.sleep(5 if trial.short else LOCKED)
        released = time.monotonic()
        trial.recovers(released, target=RECONNECTED_WITHIN)
        calm = blocked.settled(released, within=PATIENCE)
    trial.unharmed()
    during = figures(blocked.between(began, released))
    trial.claim("that user is told to wait, or answered", during.failed == 0, failures(during))
    trial.claim("that user can sign in again", calm is not None)
    trial.note(f"undisturbed, that user: {_short(figures(blocked.between(0, began)).p99)}")


def _short(milliseconds: float | None) -> str:
    return "none answered" if milliseconds is None else f"p99 {milliseconds:.0f} ms"
