"""SMTP, IMAP and POP3 as a client of our own listeners speaks them: TLS wherever it is offered.

The standard library's clients, given a socket that this machine's listeners understand (a PROXY header where they
want one, TLS from the start where they speak it). What the certificate is worth is not asked here: it is ours.
"""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
from typing import Any

from daemon.admin import knock
from daemon.config import Config

PATIENCE = 10  # seconds for each answer


class Off(Exception):
    """No listener is switched on for this."""


def _connect(config: Config, names: tuple[str, ...]) -> tuple[socket.socket, str]:
    """Connected to the first of these listeners that is switched on, and its name. Raises `Off`, `OSError`."""
    for name in names:
        for place in config[f"listen.{name}"]:
            where = knock.loopback(place)
            sock = socket.create_connection((where.host, where.port), timeout=PATIENCE)
            try:
                sock.sendall(knock.proxy_header(config, where.host))
                if name in knock.IMPLICIT:
                    return knock.believing().wrap_socket(sock, server_hostname=config["hostname"]), name
            except BaseException:
                sock.close()
                raise
            return sock, name
    raise Off(f"{' and '.join(f'listen.{name}' for name in names)} are off")


class _SMTP(smtplib.SMTP):
    def __init__(self, given: socket.socket, hostname: str) -> None:
        self._given = given
        super().__init__("localhost", local_hostname=hostname, timeout=PATIENCE)

    def _get_socket(self, host: Any, port: Any, timeout: Any) -> socket.socket:
        return self._given


class _IMAP(imaplib.IMAP4):
    def __init__(self, given: socket.socket) -> None:
        self._given = given
        super().__init__("localhost")

    def _create_socket(self, timeout: Any) -> socket.socket:
        return self._given


class _POP3(poplib.POP3):
    def __init__(self, given: socket.socket) -> None:
        self._given = given
        super().__init__("localhost")

    def _create_socket(self, timeout: Any) -> socket.socket:
        return self._given


def smtp(config: Config, *names: str) -> smtplib.SMTP:
    """Greeted, in TLS where that is offered. Raises `Off`, `OSError`, `smtplib.SMTPException`."""
    sock, name = _connect(config, names)
    with _closing_on_error(sock):
        client = _SMTP(sock, config["hostname"])
        client.ehlo()
        if name not in knock.IMPLICIT and client.has_extn("starttls"):
            client.starttls(context=knock.believing())
            client.ehlo()
    return client


def imap(config: Config) -> imaplib.IMAP4:
    """Greeted, in TLS where that is offered. Raises `Off`, `OSError`, `imaplib.IMAP4.error`."""
    sock, name = _connect(config, ("imaps", "imap"))
    with _closing_on_error(sock):
        client = _IMAP(sock)
        if name == "imap" and "STARTTLS" in client.capabilities:
            client.starttls(knock.believing())
    return client


def pop3(config: Config) -> poplib.POP3:
    """Greeted, in TLS where that is offered. Raises `Off`, `OSError`, `poplib.error_proto`."""
    sock, name = _connect(config, ("pop3s", "pop3"))
    with _closing_on_error(sock):
        client = _POP3(sock)
        if name == "pop3" and "STLS" in client.capa():
            client.stls(knock.believing())
    return client


class _closing_on_error:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._sock.close()
