### RFC 5228 section 9: the message from the desert, and the other
# coyote: fileinto INBOX.coyote
# rich: discard
# list: keep
require ["fileinto"];
if header :is "Sender" "b1ff@de.res.example.com" { discard; }
elsif address :is :all ["from", "sender"] "coyote@desert.example.org" { fileinto "INBOX.coyote"; }
elsif anyof (not exists ["From", "Date"], header :contains "from" "fool@example.com") { discard; }

### RFC 5228 section 3.1: if, elsif, else
# coyote: redirect acm@example.com
# rich: redirect field@example.com
# list: redirect postmaster@example.com
if header :contains "From" "coyote" { redirect "acm@example.com"; }
elsif header :contains "Subject" "$$$" { redirect "field@example.com"; }
else { redirect "postmaster@example.com"; }

### RFC 5228 section 4.2: redirect cancels the implicit keep, and the same twice is once
# coyote: redirect bart@example.com
redirect "bart@example.com";
redirect "Bart@example.com";

### RFC 5228 section 2.7.1: is, contains, matches; a backslash takes a star as it is
# rich: discard
if allof (header :matches "subject" "$$$ *, TOO, CAN ?E A*", header :contains "subject" "millionaire",
          not header :matches "subject" "\\*\\*\\* *", not header :is "subject" "$$$") { discard; }

### RFC 5228 section 5.7: header of a field that is not there is false, of an empty one true for ""
# coyote: discard
if not anyof (header :is ["X-Caffeine"] [""], header :contains ["X-Caffeine"] [""]) { discard; }

### RFC 5228 section 5.9: size
# coyote: discard
if allof (size :over 400, size :under 100K, not size :over 1M) { discard; }

### RFC 5228 section 2.10.6: what was not required is refused when the script is checked
# refused: fileinto needs: require "fileinto"
fileinto "INBOX.harassment";

### RFC 5228 section 2.4.2.4: an unknown capability
# refused: there is no extension 'nonsense' here
require "nonsense";
