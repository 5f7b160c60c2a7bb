### RFC 6785 section 5: what is put into a mailbox by hand goes to its people
# given: event COPY = ActionItems
# coyote: redirect actionitems@example.com; keep
require ["copy", "environment", "imapsieve"];
if anyof (environment :is "imap.cause" "APPEND", environment :is "imap.cause" "COPY") {
    if environment :is "imap.mailbox" "ActionItems" { redirect :copy "actionitems@example.com"; }
}

### RFC 6785 section 4: its items
# given: event FLAG = INBOX
# coyote: discard
require ["environment", "imapsieve"];
if allof (environment "imap.changedflags" "\\flagged", environment "imap.user" "me", environment "location" "MS",
          environment "phase" "post", environment "imap.email" "me@example.org") { discard; }

### RFC 6785 section 3.8: nobody is there who could be refused or answered
# given: event APPEND = INBOX
# coyote: error, can be neither refused nor answered
require ["imapsieve", "vacation"];
vacation "away";

### RFC 6785 section 3.8: nor is there an envelope
# given: event APPEND = INBOX
# coyote: error, what lies in a mailbox has no envelope
require ["imapsieve", "envelope"];
if envelope "from" "x" { discard; }

### RFC 6785: it adds no words
# refused: there is no command 'imapsieve'
require "imapsieve";
imapsieve;
