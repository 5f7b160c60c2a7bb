"""Reports on the road: others' come in by SMTP and are shown, ours go out to who asks."""

from __future__ import annotations

import gzip
import smtplib
import time
import zlib
from pathlib import Path

from daemon.flow.reporting import _SPREAD
from daemon.limits import LIMITS
from daemon.mail import report
from daemon.mail.report import Letter
from daemon.store import evidence
from daemon.store.db import Store
from daemon.store.evidence import DAY, Judged
from daemon.trust import dmarc_report
from tests.instruments.dns_server import DNSServer
from tests.instruments.server import Server
from tests.instruments.sink import Sink
from tests.instruments.until import soon
from tests.mailctl.conftest import Ctl

ALICE = "alice@example.test"
ZONE = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\n"
JUDGED = Judged(
    "far.example", "v=DMARC1; p=reject; rua=mailto:reports@far.example", "192.0.2.1", "far.example", "far.example",
    ("far.example", "fail"), False, (), False, "reject",
)  # fmt: skip


def told() -> bytes:
    """What far.example says of mail in the name of example.test, as a message."""
    begin = int(time.time()) - 86400
    rows = [dmarc_report.Row("198.51.100.66", 5, "reject", "fail", "fail", "example.test")]
    found = dmarc_report.Report(
        "far.example", "x@far.example", "id1", begin, begin + 1, "example.test", {"p": "reject"}, rows
    )
    letter = Letter(
        "dmarc", "x@far.example", ALICE, "example.test", "far.example", "id1",
        f"far.example!example.test!{begin}!{begin + 1}.xml.gz", gzip.compress(dmarc_report.write(found)), "a report",
    )  # fmt: skip
    return report.write(letter, hostname="far.example", now=time.time())


def counted_yesterday(server: Server) -> None:
    """As if the server had judged mail in the name of far.example the day before."""
    store = Store.open(server.data, clock=lambda: int(time.time() * 1000) - DAY)
    store.write_now(evidence.count, JUDGED)
    store.close()


async def test_reports_about_us_are_shown_and_mail_in_others_names_is_reported(tmp_path: Path) -> None:
    assert LIMITS.report_round <= 60, "who watches sees a report within minutes"
    async with DNSServer(ZONE) as dns, Sink() as sink:
        config = {"dns.servers": dns.at, "smtp.out_port": str(sink.port), "hostname": early_name()}
        server = Server(tmp_path / "data", {ALICE: "wonderland"}, config)
        counted_yesterday(server)
        with server:
            with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as client:
                client.sendmail("x@far.example", [ALICE], told())
            (sent,) = await sink.wait(1)
        with server:  # the first look of a new start is at once
            ctl = Ctl(server.data.path)
            found = await soon(lambda: ctl.json("report", "dmarc")["domains"], server.log)
        assert found == [{"domain": "example.test", "messages": 5, "failed": 5, "quarantined": 0, "rejected": 5}]
        assert (sent.sender, sent.recipients) == ("postmaster@example.test", ["reports@far.example"])
        (ours,) = report.find(sent.data)
        ours_told = dmarc_report.read(ours.content, time.time())
        assert [(row.source_ip, row.disposition) for row in ours_told.rows] == [("192.0.2.1", "reject")]
        assert b"DKIM-Signature:" in sent.data and b"d=example.test" in sent.data
        assert len(sink.copies) == 1, "once, over two starts"
        assert "-fault" not in server.log()


def early_name() -> str:
    """A name whose moment is right after midnight: servers spread theirs over four hours."""
    names = (f"mx{number}.example.test" for number in range(100_000))
    return min(names, key=lambda name: zlib.crc32(name.encode()) % _SPREAD)
