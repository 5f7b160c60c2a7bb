### RFC 5490 section 3.1: only where there is one
# given: mailboxes = Partners
# coyote: fileinto Partners
require ["fileinto", "reject", "mailbox"];
if mailboxexists "Partners" { fileinto "Partners"; }
else { reject "This message was not accepted by the Mailstore"; }

### RFC 5490 section 3.1: and where there is none; all that are named have to be there
# coyote: reject This message was not accepted by the Mailstore
require ["fileinto", "reject", "mailbox"];
if mailboxexists ["INBOX", "Partners"] { fileinto "Partners"; }
else { reject "This message was not accepted by the Mailstore"; }

### RFC 5490 section 3.2: made when it is needed
# coyote: fileinto Partners :create
require ["fileinto", "mailbox"];
fileinto :create "Partners";

### RFC 5490 section 3.2: a keep is never made
# refused: keep takes no :create
require "mailbox";
keep :create;
