### RFC 5232 section 3.1: in a variable of one's own
# parts: fileinto INBOX.From Boss +\Flagged
require ["fileinto", "imap4flags", "variables"];
if header :contains "from" "boss@example.org" {
    setflag "flagvar" "\\Flagged";
    fileinto :flags "${flagvar}" "INBOX.From Boss";
}

### RFC 5232 section 3.2: three ways to the same
# coyote: discard
require ["imap4flags", "variables", "relational", "comparator-i;ascii-numeric"];
addflag "a" "\\Deleted"; addflag "a" "\\Answered";
addflag "b" ["\\Deleted", "\\Answered"];
addflag "c" "\\Answered \\Deleted";
if allof (hasflag :count "eq" :comparator "i;ascii-numeric" ["a", "b", "c"] "6",
          hasflag ["a"] "\\answered", hasflag ["b"] "\\deleted", hasflag ["c"] "\\deleted") { discard; }

### RFC 5232 section 4: hasflag with match types
# coyote: fileinto is +\Flagged +NonJunk +gnus-forward; fileinto contains +\Flagged +NonJunk +gnus-forward; keep +\Flagged +NonJunk +gnus-forward
require ["imap4flags", "fileinto", "copy"];
setflag ["\\Flagged", "NonJunk", "gnus-forward"];
removeflag "$MDNRequired";
if hasflag "\\flagged" { fileinto :copy "is"; }
if hasflag :contains ["label", "gnus"] { fileinto :copy "contains"; }
if hasflag :matches "label?" { fileinto :copy "matches"; }

### RFC 5232 section 2: the implicit keep has them, too; of two lists for one mailbox the last wins
# coyote: keep +\Seen
require "imap4flags";
addflag "\\Deleted";
keep;
keep :flags "\\Seen";

### RFC 5232 section 5: :flags belongs to keep and fileinto
# refused: discard takes no :flags
require "imap4flags";
discard :flags "\\Seen";
