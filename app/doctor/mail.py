"""The mail server: connect, encrypt, authenticate; and send, where that was asked for."""

from __future__ import annotations

import smtplib
import ssl

from app.doctor.finding import Finding, Group
from app.doctor.subject import Subject
from app.env import Message
from app.errors import CodeDeliveryFailure
from app.messaging import email

tell = Group("mail")


def check(subject: Subject) -> list[Finding]:
    settings = subject.settings
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    if not settings.smtp_host:
        if settings.development:
            return [tell.fine("mail", "Mails are kept in the outbox.")]
        what = "No mail is sent: nobody can confirm an address, or recover an account"
        return [tell.advice("mail", f"{what}.", "COGNATE_SMTP_HOST, and what belongs to it (docs/settings.md)")]
    try:
        with email.connection(settings) as server:
            server.noop()
    # What the server answers is not quoted: it may repeat what it was sent.
    except smtplib.SMTPAuthenticationError as refused:
        what = f"{where} refuses the account {settings.smtp_username} ({refused.smtp_code})"
        return [tell.problem("mail", f"{what}.", "COGNATE_SMTP_USERNAME and COGNATE_SMTP_PASSWORD")]
    except smtplib.SMTPNotSupportedError:
        what = f"{where} offers no STARTTLS, or no authentication"
        return [tell.problem("mail", f"{what}.", "COGNATE_SMTP_PORT=465 with COGNATE_SMTP_TLS=tls, or another server")]
    except ssl.SSLCertVerificationError as failed:
        what = f"The certificate of {where} is not to be trusted: {failed.verify_message}"
        return [tell.problem("mail", f"{what}.", "COGNATE_SMTP_HOST=<the name in its certificate>, or renew that")]
    except (OSError, smtplib.SMTPException) as failed:
        said = getattr(failed, "strerror", None) or type(failed).__name__
        what = f"{where} cannot be used: {said}"
        return [tell.problem("mail", f"{what}.", "COGNATE_SMTP_HOST, COGNATE_SMTP_PORT and COGNATE_SMTP_TLS")]
    found = [tell.fine("mail", f"{where} takes the connection{' and the account' * bool(settings.smtp_username)}.")]
    if settings.smtp_from.endswith("@localhost"):
        what = f"Mails come from {settings.smtp_from}, which other servers refuse"
        found.append(tell.problem("sender", f"{what}.", "COGNATE_SMTP_FROM=no-reply@<your domain>"))
    return [*found, *_sent(subject)]


def _sent(subject: Subject) -> list[Finding]:
    if subject.send_to is None:
        return []
    message = Message(
        to=subject.send_to,
        channel="email",
        purpose="doctor",
        subject=f"Test message of {subject.settings.base_url}",
        body=f"This message was sent by `cognate doctor`. Mails of {subject.settings.base_url} arrive.\n",
    )
    try:
        email.Smtp(subject.settings).send(message)
    except CodeDeliveryFailure:
        what = f"A message to {subject.send_to} was not taken"
        return [tell.problem("sending", f"{what}.", "COGNATE_SMTP_FROM, and what the log of the mail server says")]
    return [tell.fine("sending", f"A message to {subject.send_to} was taken.")]
