"""A mail server of the tests: speaks enough SMTP to take a message, and misbehaves where it is told to."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Letter:
    sender: str
    recipients: list[str]
    content: bytes


@dataclass
class MailServer:
    """What it was sent, and how it behaves: `refuse` maps a command to the answer that ends it."""

    port: int = 0
    refuse: dict[str, str] = field(default_factory=dict)
    offers: tuple[str, ...] = ("8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN")
    letters: list[Letter] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


@contextmanager
def running(**behaviour: object) -> Iterator[MailServer]:
    mail = MailServer(**behaviour)  # type: ignore[arg-type]

    class Conversation(socketserver.StreamRequestHandler):
        timeout = 60

        def handle(self) -> None:
            sender, recipients = "", []
            if not self.say(mail.refuse.get("CONNECT", "220 mail.test ESMTP")):
                return
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                mail.commands.append(line)
                word = line.split(" ")[0].split(":")[0].upper()
                if word in mail.refuse:
                    if not self.say(mail.refuse[word]):
                        return
                elif word == "EHLO":
                    for offer in mail.offers:
                        self.say(f"250-{offer}")
                    self.say("250 HELP")
                elif word == "MAIL":
                    sender = line[len("MAIL FROM:") :]
                    self.say("250 OK")
                elif word == "RCPT":
                    recipients.append(line[len("RCPT TO:") :].strip("<>"))
                    self.say("250 OK")
                elif word == "DATA":
                    self.say("354 go on")
                    content = b""
                    while (part := self.rfile.readline()) not in (b".\r\n", b""):
                        content += part.removeprefix(b".")
                    mail.letters.append(Letter(sender, recipients, content))
                    self.say("250 OK")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("235 OK" if word == "AUTH" else "250 OK")

        def say(self, answer: str) -> bool:
            """False where the answer is to hang up."""
            if answer == "hang up":
                return False
            self.wfile.write(answer.encode() + b"\r\n")
            return True

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is no news."""

    with Server(("127.0.0.1", 0), Conversation) as server:
        mail.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield mail
        finally:
            server.shutdown()
            thread.join()
