### RFC 5490 section 3.3: away, when the mailbox says so
# given: metadata INBOX /private/vendor/vendor.isode/auto-replies = on
# coyote: vacation 604800 I'm away on holidays till March 2009. Expect a delay.; keep
require ["mboxmetadata", "vacation"];
if metadata :is "INBOX" "/private/vendor/vendor.isode/auto-replies" "on" {
    vacation text:
I'm away on holidays till March 2009.
Expect a delay.
.
;
}

### RFC 5490 section 3.4: all entries have to be there
# given: metadata INBOX /private/a = 1
# coyote: fileinto a
require ["mboxmetadata", "fileinto"];
if metadataexists "INBOX" "/private/a" { fileinto "a"; }
if metadataexists "INBOX" ["/private/a", "/private/b"] { fileinto "b"; }
if metadataexists "Other" "/private/a" { fileinto "other"; }

### RFC 5490 section 3.3: a mailbox, an entry, and what it should be
# refused: metadata takes a string, then a string, then a string or a list of strings
require "mboxmetadata";
if metadata "INBOX" "/private/a" { discard; }
