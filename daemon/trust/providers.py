"""Large providers whose many servers take turns: a delay by address never ends for them, and proves nothing.

Names are those that their SPF and DKIM proofs speak for; names below them count too.
"""

from __future__ import annotations

_DOMAINS = frozenset(
    "163.com amazonses.com aol.com fastmail.com freenet.de gmail.com gmx.com gmx.de gmx.net google.com googlemail.com"
    " hotmail.com icloud.com laposte.net libero.it live.com mac.com mail.ru mailbox.org mailgun.org mailjet.com"
    " mandrillapp.com mcsv.net me.com messagingengine.com microsoft.com msn.com naver.com onmicrosoft.com orange.fr"
    " outlook.com pm.me posteo.de proton.me protonmail.com qq.com sendgrid.net seznam.cz sparkpostmail.com t-online.de"
    " web.de wp.pl yahoo.co.jp yahoo.com yandex.net yandex.ru zoho.com zoho.eu".split()
)


def has(domain: str) -> bool:
    """Whether a proved domain is one of theirs."""
    labels = domain.lower().rstrip(".").split(".")
    return any(".".join(labels[at:]) in _DOMAINS for at in range(max(0, len(labels) - 4), len(labels) - 1))
