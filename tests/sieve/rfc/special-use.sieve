### RFC 8579 section 3: whether there is one, and whether a mailbox is one
# given: use \Junk = Spam
# given: use \Archive = Old
# coyote: fileinto there; fileinto Old is it
require ["special-use", "fileinto"];
if specialuse_exists ["\\Junk", "\\Archive"] { fileinto "there"; }
if specialuse_exists ["\\Junk", "\\Trash"] { fileinto "not both"; }
if specialuse_exists "Old" "\\archive" { fileinto "Old is it"; }
if specialuse_exists "INBOX" "\\Archive" { fileinto "INBOX is not"; }

### RFC 8579 section 4.1: by what it is for, else by its name
# coyote: fileinto INBOX/Spam :create :specialuse \Junk
require ["fileinto", "special-use", "mailbox"];
fileinto :specialuse "\\Junk" :create "INBOX/Spam";

### RFC 8579 section 4: what is no special use
# refused: 'Junk' is no special use
require ["fileinto", "special-use"];
fileinto :specialuse "Junk" "Spam";
