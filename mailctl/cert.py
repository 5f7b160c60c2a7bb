"""`mailctl cert`: what TLS shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import Column, clean, count, when

if TYPE_CHECKING:
    from daemon.admin.acme import Renewal
    from daemon.admin.certs import Certificate
    from daemon.admin.tls_keys import Key

command = noun(
    "cert",
    "The certificates TLS shows, chosen by the name the client asks for.",
    "mailctl cert list",
    "mailctl cert import fullchain.pem --key privkey.pem",
    "mailctl cert renew",
)


@command.command("list", examples=("mailctl cert list",))
@at_desk
def list_(desk: Desk) -> None:
    """List certificates, newest first."""
    from daemon.admin import certs

    desk.out.rows(
        certs.everyone(desk.store),
        [
            Column("ID", lambda c: str(c.id), right=True),
            Column("NAMES", lambda c: " ".join(c.names), "bold", fold=True),
            Column("SOURCE", lambda c: c.source),
            Column("KEY", lambda c: c.key, "dim"),
            Column("UNTIL", lambda c: when(c.not_after_at)),
            Column("LEFT", _left, _left_style, right=True),
        ],
        empty="There are no certificates; the first start makes one, `mailctl cert import` brings another.",
    )
    for name, problem in certs.missing(desk.store):
        desk.out.note(f"Not there yet: {problem or name}")
    file = certs.files_in_use(desk.store)
    if file:
        desk.out.note(f"The setting tls.certificate names {file}, which goes before these.")


def _left(cert: Certificate) -> str:
    return count(cert.days, "day") if cert.days >= 0 else "over"


def _left_style(cert: Certificate) -> str:
    return "red" if cert.days < 7 else "yellow" if cert.days < 21 else ""


@command.command("show", examples=("mailctl cert show 1", "mailctl cert show 1 --pem"))
@click.argument("certificate", metavar="ID", type=int)
@click.option("--pem", is_flag=True, help="The chain itself, as other programs read it.")
@at_desk
def show(desk: Desk, certificate: int, pem: bool) -> None:
    """Show one certificate; its private key is never shown."""
    from daemon.admin import certs

    found = certs.show(desk.store, certificate)
    if pem:
        desk.out.document(found, lambda: desk.out.print(found.chain.rstrip()))
        return
    desk.out.show(
        found,
        [
            ("Certificate", str(found.id)),
            ("Names", " ".join(found.names)),
            ("Issuer", found.issuer),
            ("Source", found.source),
            ("Key", found.key),
            ("SHA-256", found.sha256),
            ("From", when(found.not_before_at)),
            ("Until", f"{when(found.not_after_at)} ({_left(found)})"),
            ("Renewed", f"after {when(found.renew_at)}, by itself" if found.renew_at else ""),
            ("Since", when(found.created_at)),
        ],
    )


@command.command(
    "import",
    examples=("mailctl cert import fullchain.pem --key privkey.pem", "mailctl cert import both.pem"),
)
@click.argument("chain", metavar="FILE")
@click.option("--key", metavar="FILE", help="The private key, when it is not in the same file.")
@at_desk
def import_(desk: Desk, chain: str, key: str | None) -> None:
    """Import a certificate chain and its key, PEM both. A running server shows it from the next connection on."""
    from daemon.admin import certs

    made = certs.add(desk.store, Path(chain), Path(key) if key else None)
    desk.out.done(
        f"imported certificate {made.id} for {' '.join(made.names)}, good until {when(made.not_after_at)}", made
    )


@command.command(
    "renew", examples=("mailctl cert renew", "mailctl cert renew mail.example.org", "mailctl cert renew --new-key")
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every certificate, due or not.")
@click.option("--due", is_flag=True, help="Of these, only those that are due.")
@click.option("--new-key", is_flag=True, help="Prepare another key: told in the DNS first, used when everybody knows.")
@at_desk
def renew(desk: Desk, names: tuple[str, ...], everything: bool, due: bool, new_key: bool) -> None:
    """Fetch the certificates that are due from the certificate authority (ACME), those of NAME due or not.

    A running server does this by itself once `acme.agree` is yes, and shows a new certificate at once.
    """
    from daemon.admin import acme, tls_keys

    if new_key:
        if everything or names:
            raise click.UsageError("--new-key is for the host's certificate; leave out the rest")
        _tell_keys(desk, desk.store.write_now(tls_keys.prepare))
        return
    if everything and (names or due):
        raise click.UsageError("--all is for every certificate, due or not; leave out the rest")
    done = acme.renew(desk.store, names, everything=everything, due=due)
    if desk.json:
        desk.out.rows(done, [])
    else:
        _tell_renewals(desk, done)
    failed = acme.failure(done)
    if failed is not None:
        raise failed


def _tell_renewals(desk: Desk, done: list[Renewal]) -> None:
    for one in done:
        name = " ".join(one.names)
        match one.state:
            case "renewed":
                desk.out.print(f"{name}: certificate {one.certificate}, good until {when(one.until_at)}")
            case "good":
                desk.out.print(f"{name}: good until {when(one.until_at)}, not due before {when(one.due_at)}")
            case _:
                desk.out.print(clean(f"{name}: {one.state}: {one.text}"))


def _tell_keys(desk: Desk, keys: list[Key]) -> None:
    if desk.json:
        desk.out.rows(keys, [])
        return
    for key in keys:
        later = f"  ; its certificate comes after {when(key.ready_at)}" if key.ready_at else ""
        desk.out.print(f"_25._tcp.{key.name}. IN TLSA {key.tlsa}  ; {key.state}{later}")
    desk.out.note("Publish both records now, and keep them until the next certificate is there.")
