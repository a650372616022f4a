"""Mail over SMTP, for installations that have a mail server; and the sender of those that have none."""

from __future__ import annotations

import logging
import re
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from html import unescape

from app import errors, telemetry
from app.config import Settings
from app.env import Message
from app.policy.mailbox import bare, mailbox
from app.slots import Slots

TIMEOUT = 10
"""Seconds for each step of the conversation: a mail server that hangs must not hold a worker for long."""

AT_ONCE = 2
"""Mails that one process sends at the same time. A mail server that says nothing then holds up as many requests, and no
others: the rest are told after WAIT that there is nobody to take their mail."""
WAIT = 1.0
"""Seconds that a mail waits for its turn, unless those before it have waited as long already."""

_TAG = re.compile(r"<[^<>]*>")

log = logging.getLogger(__name__)


class Smtp:
    """Sends over a connection of its own. Failure is told to the caller, who can ask for another message."""

    def __init__(self, settings: Settings, connect: Callable[[], smtplib.SMTP] | None = None) -> None:
        self._settings = settings
        self._connect = connect or partial(connection, settings)
        self._slots = Slots("mail", AT_ONCE, patience=WAIT)

    def send(self, message: Message) -> None:
        slot = self._slots.take()
        if slot is None:
            log.warning("mail for %s could not be sent: the mail server is slow, others wait for it", message.purpose)
            raise errors.CodeDeliveryFailure("The e-mail could not be delivered; try again later.")
        try:
            self._deliver(message)
        finally:
            self._slots.give_back(slot)

    def _deliver(self, message: Message) -> None:
        try:
            mail = self._mail(message)
            with telemetry.calling("send mail", self._settings.smtp_host), self._connect() as server:
                # The address as it is: out of the header, "a@example.com, b@example.com" would be two recipients.
                server.send_message(mail, to_addrs=[message.to])
        except (OSError, smtplib.SMTPException, ValueError) as error:
            # The class only: what a mail server answers may quote the message, and with it the code.
            log.warning("mail for %s could not be sent: %s", message.purpose, type(error).__name__)
            raise errors.CodeDeliveryFailure("The e-mail could not be delivered; try again later.") from None

    def _mail(self, message: Message) -> EmailMessage:
        """Raises ValueError for what is not one address; EmailMessage itself does for line breaks in headers."""
        sender = mailbox(message.sender or self._settings.smtp_from)
        mail = EmailMessage()
        mail["From"] = sender
        mail["To"] = bare(message.to)
        if message.reply_to:
            mail["Reply-To"] = bare(message.reply_to)
        # A pool's subject may have line breaks, as in Cognito; a header may not.
        mail["Subject"] = " ".join(message.subject.split())
        # Many servers take mail without these two for spam.
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=sender.domain)
        if message.html:
            mail.set_content(unescape(_TAG.sub("", message.body)))
            mail.add_alternative(message.body, subtype="html")
        else:
            mail.set_content(message.body)
        return mail


def connection(settings: Settings) -> smtplib.SMTP:
    """A connection to the mail server that has been encrypted and authenticated as the settings say. Raises OSError,
    smtplib.SMTPException."""
    if settings.smtp_tls == "tls":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.smtp_host, settings.smtp_port, timeout=TIMEOUT, context=context
        )
    else:
        server = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT)
    try:
        if settings.smtp_tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_username:
            server.login(settings.smtp_username, settings.smtp_password)
    except BaseException:
        server.close()
        raise
    return server


class Nowhere:
    """The sender where none is configured: says so instead of losing the message silently."""

    def __init__(self, what: str, hint: str) -> None:
        self._sentence = f"{what} cannot be sent: {hint}"

    def send(self, message: Message) -> None:
        log.warning("%s (%s)", self._sentence, message.purpose)
        raise errors.CodeDeliveryFailure(self._sentence)
