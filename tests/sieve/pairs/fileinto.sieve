### into a mailbox
# on: bill odd
require "fileinto";
fileinto "A";

### into two mailboxes
# on: bill
require "fileinto";
fileinto "A";
fileinto "B";
fileinto "A";

### into INBOX, which is keep
# on: bill
require "fileinto";
fileinto "INBOX";

### into INBOX in other letters, and keep
# on: bill
require "fileinto";
fileinto "Inbox";
keep;

### a name of several words, and of other letters
# on: bill
require "fileinto";
fileinto "Größe und mehr";

### a name in levels
# on: bill
require "fileinto";
fileinto "A/B/C";
fileinto "A.B.C";

### a name that is empty
# on: bill
# differs on bill: we refuse it when the script is checked, Pigeonhole fails when it files
require "fileinto";
fileinto "";

### copy keeps what was implied
# on: bill list
require ["fileinto", "copy"];
if exists "list-id" { fileinto :copy "Lists"; }
redirect :copy "dan@there.example";

### copy and then without
# on: bill
require ["fileinto", "copy"];
fileinto :copy "A";
fileinto "B";

### copy and discard
# on: bill
require ["fileinto", "copy"];
fileinto :copy "A";
discard;

### copy without its capability
# on: bill
require "fileinto";
fileinto :copy "A";
