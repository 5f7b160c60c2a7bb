### into the mailbox of a use
# on: bill
require ["special-use", "fileinto"];
fileinto :specialuse "\\Junk" "Spam";
fileinto :specialuse "\\Archive" "Old things";

### into the mailbox of a use, in other case
# on: bill
require ["special-use", "fileinto"];
fileinto :specialuse "\\JUNK" "Spam";

### specialuse_exists
# on: bill
require ["special-use", "fileinto"];
if specialuse_exists "\\Junk" { fileinto "one"; }
if specialuse_exists ["\\Junk", "\\Archive"] { fileinto "two"; }
if specialuse_exists ["\\Junk", "\\Sent"] { fileinto "three"; }
if specialuse_exists "Junk" "\\Junk" { fileinto "four"; }
if specialuse_exists "INBOX" "\\Junk" { fileinto "five"; }
if specialuse_exists "Nowhere" "\\Junk" { fileinto "six"; }

### a use that is none
# on: bill
require ["special-use", "fileinto"];
fileinto :specialuse "Junk" "Spam";

### a use that nobody knows
# on: bill
# differs on bill: no mailbox of ours can have it, so that it is not asked for when mail comes
require ["special-use", "fileinto"];
fileinto :specialuse "\\Nonsense" "Spam";

### a use, and create
# on: bill
require ["special-use", "fileinto", "mailbox"];
fileinto :specialuse "\\Sent" :create "Sent";

### without its capability
# on: bill
require "fileinto";
fileinto :specialuse "\\Junk" "Spam";
