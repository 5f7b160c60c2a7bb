"""Mail read by the clients people use: curl, mbsync, mutt, getmail, fetchmail, imapclient, aioimaplib, poplib."""

from __future__ import annotations

import os
import poplib
import pwd
import smtplib
from pathlib import Path

import aioimaplib
import imapclient
import pytest

from tests.instruments.server import Server
from tests.interop.conftest import USERS, emptied, found, run, trusting

ALICE, BOB = USERS
LETTERS = 12


@pytest.fixture(scope="module", autouse=True)
def letters(server: Server) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as smtp:
        for number in range(LETTERS):
            head = f"From: a@example.org\r\nMessage-ID: <{number}@example.org>\r\nSubject: letter {number}\r\n"
            smtp.sendmail("a@example.org", [ALICE, BOB], f"{head}\r\n.{number}\r\n")


def curl(server: Server, *options: str | Path) -> str:
    return run("curl", "-sSfk", "--user", f"{ALICE}:{USERS[ALICE]}", *options)


def test_curl_reads_and_writes_over_imap(server: Server, tmp_path: Path) -> None:
    plain, secure = (f"{scheme}://127.0.0.1:{server.ports[scheme]}" for scheme in ("imap", "imaps"))
    letter = tmp_path / "letter.eml"
    letter.write_bytes(b"Subject: appended\r\nFrom: a@example.org\r\n\r\nby curl\r\n")
    for url in (plain, secure):
        assert "INBOX" in curl(server, f"{url}/")
    assert "INBOX" in curl(server, "--ssl-reqd", f"{plain}/")
    curl(server, f"{plain}/", "-X", "CREATE curlbox")
    curl(server, "-T", letter, f"{plain}/curlbox")
    assert curl(server, f"{plain}/curlbox;MAILINDEX=1").encode() == letter.read_bytes()
    assert "* SEARCH 1" in curl(server, f"{plain}/curlbox?SUBJECT%20appended")
    assert "Subject: appended" in curl(server, f"{plain}/curlbox;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    curl(server, f"{plain}/", "-X", "RENAME curlbox curlbox2")
    assert "curlbox2" in curl(server, f"{plain}/", "-X", 'LIST "" curl*')
    curl(server, f"{plain}/", "-X", "DELETE curlbox2")
    assert "curlbox" not in curl(server, f"{plain}/", "-X", 'LIST "" curl*')


def test_curl_reads_over_pop3(server: Server) -> None:
    plain, secure = (f"{scheme}://127.0.0.1:{server.ports[scheme]}" for scheme in ("pop3", "pop3s"))
    assert curl(server, f"{plain}/").startswith("1 ")
    assert curl(server, f"{secure}/").startswith("1 ")
    assert "Subject: letter 0" in curl(server, "--ssl-reqd", f"{plain}/1")
    assert "1 " in curl(server, "-X", "UIDL", f"{plain}/")
    assert "Subject: letter" in curl(server, "-X", "TOP 1 0", f"{plain}/")


def mbsync(tmp_path: Path, server: Server) -> Path:
    (tmp_path / "mail").mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        f'IMAPAccount a\nHost 127.0.0.1\nPort {server.ports["imap"]}\nUser {ALICE}\nPass "{USERS[ALICE]}"\n'
        "SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount a\n\n"
        "MaildirStore near\nPath mail/\nInbox mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    return settings


def test_mbsync_run_twice_transfers_nothing_the_second_time(server: Server, tmp_path: Path) -> None:
    settings = mbsync(tmp_path, server)
    run("mbsync", "-c", settings, "-a", cwd=tmp_path)
    first = {p: p.read_bytes() for p in (tmp_path / "mail").rglob("*") if p.is_file()}
    assert sum("/cur/" in str(p) or "/new/" in str(p) for p in first) >= LETTERS
    said = run("mbsync", "-V", "-c", settings, "-a", cwd=tmp_path)
    second = {p: p.read_bytes() for p in (tmp_path / "mail").rglob("*") if p.is_file()}
    assert set(first) == set(second), said


def test_mbsync_carries_new_mail_flags_and_deletions_to_the_server(server: Server, tmp_path: Path) -> None:
    settings = mbsync(tmp_path, server)
    run("mbsync", "-c", settings, "-a", cwd=tmp_path)
    inbox = tmp_path / "mail" / "INBOX"
    (inbox / "cur" / "1.local:2,FS").write_bytes(b"Subject: from the maildir\n\nhello\n")
    run("mbsync", "-c", settings, "-a", cwd=tmp_path)
    assert found(server, ALICE, "from the maildir").endswith(b"hello\r\n")
    (mine,) = [p for p in (inbox / "cur").iterdir() if b"from the maildir" in p.read_bytes()]
    mine.rename(mine.with_name(mine.name.split(":")[0] + ":2,ST"))
    run("mbsync", "-c", settings, "-a", cwd=tmp_path)
    with pytest.raises(AssertionError, match="0 messages"):
        found(server, ALICE, "from the maildir")


def test_mutt_reads_and_copies_over_imap(server: Server, tmp_path: Path) -> None:
    settings = tmp_path / "muttrc"
    url = f"imap://127.0.0.1:{server.ports['imap']}"
    settings.write_text(
        f'set imap_user="{ALICE}" imap_pass="{USERS[ALICE]}" imap_authenticators="login"\n'
        f'set ssl_starttls=no ssl_force_tls=no folder="{url}/" spoolfile="{url}/INBOX"\n'
        "set confirmappend=no confirmcreate=no mbox_type=mbox delete=no quit=yes wait_key=no\n"
        f"push '<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/all.mbox<enter><quit>'\n"
    )
    run("script", "-qec", f"mutt -n -F {settings}", "/dev/null", cwd=tmp_path)
    assert (tmp_path / "all.mbox").read_bytes().count(b"\nSubject: letter ") >= LETTERS


@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_fetchmail_fetches_each_letter_once(server: Server, tmp_path: Path, protocol: str) -> None:
    settings = tmp_path / "fetchmailrc"
    extra = "uidl" if protocol == "POP3" else ""
    settings.write_text(
        f"set no bouncemail\npoll 127.0.0.1 protocol {protocol} port {server.ports[protocol.lower()]} {extra}\n"
        f'  user "{BOB}" password "{USERS[BOB]}" keep {"" if extra else "fetchall"}'
        f" sslproto '' mda \"cat >> {tmp_path}/got\"\n"
    )
    settings.chmod(0o600)
    command = ("env", f"FETCHMAILHOME={tmp_path}", "fetchmail", "-f", settings, "--pidfile", tmp_path / "pid")
    run(*command, cwd=tmp_path)
    assert (tmp_path / "got").read_bytes().count(b"Subject: letter ") == LETTERS
    if extra:
        run(*command, cwd=tmp_path, codes=(1,))  # 1: there is no new mail
        assert (tmp_path / "got").read_bytes().count(b"Subject: letter ") == LETTERS


@pytest.mark.parametrize(("kind", "port"), [("SimplePOP3Retriever", "pop3"), ("SimpleIMAPSSLRetriever", "imaps")])
def test_getmail_fetches_every_letter(
    server: Server, tmp_path_factory: pytest.TempPathFactory, kind: str, port: str
) -> None:
    home = tmp_path_factory.mktemp("getmail")
    maildir = home / "mail"
    for folder in ("cur", "new", "tmp"):
        (maildir / folder).mkdir(parents=True)
    root = os.geteuid() == 0  # getmail does not write mail as root
    if root:
        nobody = pwd.getpwnam("nobody")
        for path in (maildir, *maildir.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        for parent in (home, *list(home.parents)[:3]):
            parent.chmod(parent.stat().st_mode | 0o055)
    boxes = "mailboxes = ('INBOX',)\n" if "IMAP" in kind else ""
    (home / "getmailrc").write_text(
        f"[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {server.ports[port]}\nusername = {BOB}\n"
        f"password = {USERS[BOB]}\n{boxes}[destination]\ntype = Maildir\npath = {maildir}/\n"
        f"{'user = nobody' if root else ''}\n[options]\ndelete = false\nread_all = true\n"
    )
    run("getmail", "--getmaildir", home, cwd=home)
    assert len(list((maildir / "new").iterdir())) == LETTERS


def test_imapclient_is_told_of_new_mail_while_idle(server: Server) -> None:
    client = imapclient.IMAPClient("127.0.0.1", server.ports["imap"], ssl=False)
    client.login(ALICE, USERS[ALICE])
    before = client.select_folder("INBOX")[b"EXISTS"]
    client.idle()
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as smtp:
        smtp.sendmail("a@example.org", [ALICE], "Subject: while idle\r\n\r\nx\r\n")
    news = client.idle_check(timeout=10)
    assert (before + 1, b"EXISTS") in news
    client.idle_done()
    client.logout()


async def test_aioimaplib_searches_and_fetches(server: Server) -> None:
    client = aioimaplib.IMAP4("127.0.0.1", server.ports["imap"])
    await client.wait_hello_from_server()
    assert (await client.login(ALICE, USERS[ALICE])).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    found_uids = await client.uid_search("SUBJECT", '"letter 3"')
    uid = found_uids.lines[0].split()[0].decode()
    answer = await client.uid("fetch", uid, "(FLAGS RFC822.SIZE BODY.PEEK[])")
    assert answer.result == "OK" and any(b"Subject: letter 3" in bytes(line) for line in answer.lines)
    await client.logout()


def test_poplib_deletes_only_at_quit(server: Server) -> None:
    def opened() -> poplib.POP3:
        client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30)
        client.stls(trusting())
        client.user(BOB)
        client.pass_(USERS[BOB])
        return client

    client = opened()
    count = client.stat()[0]
    client.dele(1)
    client.rset()
    client.dele(count)
    client.close()  # no QUIT: nothing happened
    client = opened()
    assert client.stat()[0] == count
    client.dele(count)
    client.quit()
    client = opened()
    assert client.stat()[0] == count - 1
    client.quit()
    emptied(server, BOB)
