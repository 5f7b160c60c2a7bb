### RFC 5228 section 4.1: into a mailbox of its own
# coyote: fileinto INBOX.harassment
# list: keep
require "fileinto";
if header :contains ["from"] "coyote" { fileinto "INBOX.harassment"; }

### RFC 5228 section 2.10.3: twice into one is once, INBOX is the keep
# coyote: fileinto INBOX; fileinto A
require "fileinto";
fileinto "INBOX"; keep; fileinto "A"; fileinto "A";

### RFC 5228 section 4.1: a mailbox has a name
# refused: a mailbox has a name
require "fileinto";
fileinto "";
