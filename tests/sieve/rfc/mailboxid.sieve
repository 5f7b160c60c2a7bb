### RFC 9042 section 3: by its id, else by its name
# given: id F6352ae03-b7f5-463c-896f-d8b48ee3 = Moved
# coyote: fileinto INBOX.harassment :mailboxid F6352ae03-b7f5-463c-896f-d8b48ee3
require ["fileinto", "mailboxid"];
if header :contains ["from"] "coyote" {
    fileinto :mailboxid "F6352ae03-b7f5-463c-896f-d8b48ee3" "INBOX.harassment";
}

### RFC 9042 section 4: all ids have to be there
# given: id F1 = One
# coyote: fileinto both :create
require ["fileinto", "mailboxid", "mailbox"];
if mailboxidexists "F1" { fileinto :create "both"; }
if mailboxidexists ["F1", "F2"] { fileinto "no"; }

### RFC 9042 section 3.2: two ways to name one mailbox
# refused: :specialuse and :mailboxid exclude each other
require ["fileinto", "mailboxid", "special-use"];
fileinto :mailboxid "F1" :specialuse "\\Junk" "x";
