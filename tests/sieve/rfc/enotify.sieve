### RFC 5435 section 7.1: of the boss' letters at once
# parts: notify :importance 1 mailto:alm@example.com :message This is probably very important; keep
require ["enotify", "fileinto", "variables"];
if header :contains "from" "boss@example.org" {
    notify :importance "1" :message "This is probably very important" "mailto:alm@example.com";
    stop;
}

### RFC 5435 section 7.1: of a list in words of the message
# list: notify :importance 3 mailto:alm@example.com :message [SIEVE] Mary <mary@example.net>: [acme-users] [fwd] version 1.0 is out; fileinto INBOX.sieve
require ["enotify", "fileinto", "variables"];
if header :contains "to" "ietf-mta-filters@example.org" {
    if header :matches "Subject" "*" { set "subject" "${1}"; }
    if header :matches "From" "*" { set "from" "${1}"; }
    notify :importance "3" :message "[SIEVE] ${from}: ${subject}" "mailto:alm@example.com";
    fileinto "INBOX.sieve";
}

### RFC 5435 sections 4 and 5: what may be notified by, and how
# coyote: discard
require "enotify";
if allof (valid_notify_method "mailto:tim@example.com", not valid_notify_method ["mailto:", "xmpp:x@example.com"],
          notify_method_capability "mailto:tim@example.com" "Online" "maybe") { discard; }

### RFC 5435 section 6: a text for the body of a mailto
# list: notify :importance 2 mailto:alm@example.com?body=%5Bacme-users%5D%20%5Bfwd%5D%20version%201.0%20is%20out; keep
require ["enotify", "variables"];
if header :matches "Subject" "*" { set :encodeurl "body" "${1}"; }
notify "mailto:alm@example.com?body=${body}";

### RFC 5435 section 3.1: a method that there is not
# refused: is no way to notify somebody
require "enotify";
notify "tel:+14085551212";
