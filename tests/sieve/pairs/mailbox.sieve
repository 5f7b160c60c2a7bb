### mailboxexists
# on: bill
require ["mailbox", "fileinto"];
if mailboxexists "Bills" { fileinto "yes"; }
if mailboxexists ["INBOX", "Nowhere"] { fileinto "both"; }
if mailboxexists ["INBOX", "Junk"] { fileinto "all"; }

### create
# on: bill
require ["mailbox", "fileinto"];
fileinto :create "A";
fileinto :create "INBOX";

### create and not
# on: bill
require ["mailbox", "fileinto"];
fileinto :create "A";
fileinto "A";

### create without its capability
# on: bill
require "fileinto";
fileinto :create "A";

### create, copy and flags in any order
# on: bill
# differs on bill: Pigeonhole forgets :create where it stands behind :copy and :flags
require ["mailbox", "fileinto", "copy", "imap4flags"];
fileinto :flags "\\Seen" :create :copy "A";
fileinto :copy :flags "\\Flagged" :create "B";

### create with keep
# on: bill
require "mailbox";
keep :create;

### mailboxexists without its capability
# on: bill
if mailboxexists "A" { keep; }
