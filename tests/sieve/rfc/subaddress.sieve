### RFC 5233 section 4: user and detail of ken+sieve@example.org
# given: to = ken+mta-filters@example.org
# list: fileinto inbox.ietf-mta-filters; fileinto list; keep
require ["envelope", "subaddress", "fileinto", "copy"];
if envelope :user "to" "postmaster" { fileinto "inbox.postmaster"; }
if envelope :detail :is "to" "mta-filters" { fileinto :copy "inbox.ietf-mta-filters"; }
if address :detail "cc" "list" { fileinto :copy "list"; }

### RFC 5233 section 4: no separator, no detail; an empty one is empty
# given: to = ken+@example.org
# coyote: discard
require ["envelope", "subaddress"];
if allof (not address :detail :matches "from" "*", envelope :detail :is "to" "", envelope :user "to" "ken") { discard; }

### RFC 5233 section 4: with another part
# refused: :detail and :domain exclude each other
require "subaddress";
if address :domain :detail "from" "x" { discard; }
