"""A mail server for tests (RFC 5321): takes every message, and keeps what it was told."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class MailServer:
    """url: its address. said: the commands in their order. messages: (readers, text). offers: lines of its EHLO."""

    offers: tuple[str, ...] = ()
    url: str = ""
    said: list[str] = field(default_factory=list)
    messages: list[tuple[list[str], str]] = field(default_factory=list)


def _handler(mail):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            readers = []
            self.answer("220 ready")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                verb = line.split()[0].upper()
                mail.said.append(verb)
                if verb == "EHLO":
                    self.answer(*(f"250-{offer}" for offer in ("here", *mail.offers)), "250 8BITMIME")
                elif verb == "RCPT":
                    readers.append(line.partition("<")[2].rstrip(">"))
                    self.answer("250 ok")
                elif verb == "DATA":
                    self.answer("354 go on")
                    mail.messages.append((readers, self.text()))
                    self.answer("250 taken")
                elif verb in ("STARTTLS", "QUIT"):
                    self.answer("220 go on" if verb == "STARTTLS" else "221 bye")
                    return
                else:
                    self.answer("250 ok")

        def text(self):
            lines = []
            while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                lines.append(line)
            return "".join(f"{line}\n" for line in lines)

        def answer(self, *lines):
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    return Handler


@contextmanager
def mail_server(*offers):
    """A mail server on loopback; offers: what it says that it can."""
    mail = MailServer(offers)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(mail)) as server:
        server.daemon_threads = True
        mail.url = f"smtp://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield mail
        server.shutdown()
        thread.join()
